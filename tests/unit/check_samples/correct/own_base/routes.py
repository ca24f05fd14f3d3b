import time

import base
from base import Number


class Routes(base.Base):
    def rules(self):
        return (self.refuse_premium, *super().rules())

    def start(self, rank):
        time.sleep(0.1)
        super().start(rank)

    def refuse_premium(self, request):
        return super().refuse_premium(request, Premium(request.uri_user))

    def register(self, request):
        return super().register(request)


class Premium(Number):
    def __init__(self, number):
        self.number = number

    def register(self):
        time.sleep(1)
