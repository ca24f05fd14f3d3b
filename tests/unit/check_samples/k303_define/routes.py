import KSR


def mod_init():
    return Handler()


class Handler:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        KSR.nathelper.fix_nated_register()  # expect: K303
        self.media()
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def media(self):
        if KSR.kx.ifdef("WITH_NAT"):
            KSR.nathelper.set_contact_alias()
