import KSR


def mod_init():
    return Handler()


class Handler:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        if KSR.is_OPTIONS():
            return  # expect: K404
        if KSR.is_BYE():
            return "done"  # expect: K404
        KSR.tm.t_on_branch("ksr_branch")
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def ksr_branch(self, msg):  # expect: K404
        if KSR.is_INVITE():
            return 1
