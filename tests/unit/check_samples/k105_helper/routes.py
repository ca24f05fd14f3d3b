from statistics import count_call  # expect: K105

from kemi.router import Router


class Routes(Router):
    def on_any_reply(self, reply):
        count_call(reply)
