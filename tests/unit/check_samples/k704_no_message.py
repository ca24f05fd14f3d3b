import KSR


def mod_init():
    return Handler()


class Handler:
    def child_init(self, rank):
        self.caller = KSR.pv.get("$fu")  # expect: K704
        self.nated = KSR.kx.ifdef("WITH_NAT")
        return 0

    def ksr_request_route(self, msg):
        pass
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1


OURS = KSR.is_myself_ruri()  # expect: K704
