from kemi.router import Router
from kemi.verdict import Reply
from mysite.numbers.ranges import is_premium

from . import queue
from .queue import longest_wait


class Routes(Router):
    def rules(self):
        return (self.refuse_premium, *super().rules())

    def refuse_premium(self, request):
        if is_premium(request.uri_user) and queue.WAITING < longest_wait():
            return Reply(403, "No premium numbers")
        return None
