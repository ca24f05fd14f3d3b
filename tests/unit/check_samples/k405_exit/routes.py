import sys

from kemi.router import Router


class Routes(Router):
    def screen_floods(self, request):
        if request.source_ip == "192.0.2.1":
            sys.exit()  # expect: K405
        return super().screen_floods(request)
