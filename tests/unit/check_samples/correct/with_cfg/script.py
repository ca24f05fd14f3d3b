import KSR


def mod_init():
    return Handler()


class Handler:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        try:
            KSR.rtpengine.rtpengine_manage("")
        except AttributeError:
            KSR.info("no rtpengine here\n")
        if "htable" in dir(KSR):
            KSR.htable.sht_seti("calls", "all", 1)
        if hasattr(KSR, "pike"):
            KSR.pike.pike_check_req()
        if KSR.siputils.has_totag() > 0:
            KSR.tm.t_relay()
        else:
            KSR.sl.send_reply(404, "Not here")
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_ended(self, msg, event):
        return 1
