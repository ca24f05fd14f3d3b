from kemi.router import Router

from . import callers
from .helpers import is_premium
from mysite.numbers.ranges import RANGES


class Routes(Router):
    def invite(self, request):
        if is_premium(request.uri_user, RANGES) or callers.is_unknown(request):
            return None
        return super().invite(request)
