from kemi.request import Request
from kemi.router import Router
from kemi.verdict import Reply


class Routes(Router):
    def rules(self):
        return (self.refuse_premium, *super().rules())

    def refuse_premium(self, request: Request):
        if request.uri_usr.startswith("0900"):  # expect: K210
            return Reply(403, "No premium numbers")
        return None

    def to_pstn(self, request):
        if self.features.pstnn and request.is_for_us:  # expect: K210
            return None
        return Reply(404, request.methd)  # expect: K210

    def on_reply(self, reply):
        if reply.is_sucess:  # expect: K210
            self.numbers = self.settings.nat.tests
        super().on_reply(reply)
