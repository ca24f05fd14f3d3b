from kemi.router import Router

from . import callers
from .helpers import is_premium
from mysite.numbers.ranges import RANGES


class Routes(Router):
    def to_registered_contacts(self, request):
        if is_premium(request.uri_user, RANGES) or callers.is_unknown(request):
            return None
        return super().to_registered_contacts(request)
