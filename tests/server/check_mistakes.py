"""A script for Kamailio 5.6 whose methods hold one mistake each, named after its code. Loaded by a real Kamailio."""

# mypy: ignore-errors
# ruff: noqa
import KSR


def mod_init():
    return Handler()


class Handler:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        question = KSR.pv.gete("$rU")
        if question == "k406":
            raise ValueError(question)
        if question == "k404":
            KSR.sl.send_reply(200, "OK")
            return None
        if question.startswith("k"):
            getattr(self, question)()
        else:
            KSR.sl.send_reply(200, "OK")
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def answer(self, yes):
        KSR.sl.send_reply(200 if yes else 400, "Answered")

    def k201(self):
        self.answer(KSR.tm.t_on_branch("ksr_brunch") > 0)

    def k301(self):
        KSR.sl.send_replie(200, "OK")

    def k302(self):
        KSR.auth.www_challenge("example.com", 0)

    def k303(self):
        KSR.pike.pike_check_req()
        self.answer(True)

    def k304(self):
        KSR.sl.send_reply(200)

    def k305(self):
        KSR.sl.send_reply("200", "OK")

    def k306(self):
        if KSR.is_INVITE:
            self.answer(False)
        else:
            self.answer(True)

    def k401(self):
        if not KSR.siputils.has_totag():
            self.answer(True)
        else:
            self.answer(False)

    def k402(self):
        self.answer(KSR.siputils.is_request() is True)

    def k403(self):
        if KSR.is_INVITE() < 0:
            self.answer(True)
        else:
            self.answer(False)

    def k504(self):
        self.answer(KSR.registrar.save("location", 1) > 0)
