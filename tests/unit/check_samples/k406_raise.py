import KSR


def mod_init():
    return Handler()


class Handler:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        if KSR.is_OPTIONS():
            raise ValueError("no OPTIONS here")  # expect: K406
        try:
            self.relay()
        except RuntimeError:
            KSR.sl.send_reply(500, "Server Internal Error")
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def relay(self):
        if KSR.tm.t_relay() < 0:
            raise RuntimeError("not relayed")
