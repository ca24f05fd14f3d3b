"""A script without mistakes that does many things which look like some."""

import logging
import sys
import threading
import time

import KSR

try:
    import ujson as json
except ImportError:
    import json

sys.path.append("/etc/kamailio/lib")
from prices import price  # elsewhere

TABLE = "calls"
METHODS = ("INVITE", "BYE")
send_reply = KSR.sl.send_reply
log = logging.getLogger(__name__)


def mod_init():
    KSR.info("loading\n")
    handler = Handler()
    return handler


class Base:
    def child_init(self, rank):
        if rank > 0:
            threading.Thread(target=self.sweep, daemon=True).start()
        return 0

    def sweep(self):
        while True:
            time.sleep(60)

    def ksr_reply_route(self, msg):
        code = KSR.pv.get("$rs")
        if code and code > 299:
            KSR.dbg("refused\n")
        return 1


class Handler(Base):
    def __init__(self):
        self.nat = KSR.kx.ifdef("WITH_NAT")
        self.ksr_onsend_route = self.nothing

    def nothing(self, msg):
        return 1

    def ksr_request_route(self, msg):
        for method in METHODS:
            KSR.pv.seti("$var(%s)" % method, 0)
        for name, value in self.headers().items():
            KSR.hdr.append(value)
            KSR.dbg(name)
        (code, reason), *_ = self.answers()
        KSR.sl.send_reply(code, reason)
        if KSR.siputils.has_totag() > 0 and not KSR.is_ACK():
            return self.within(msg)
        if not KSR.is_INVITE() and KSR.maxfwd.process_maxfwd(10) < 0:
            send_reply(483, "Too Many Hops")
            return 1
        found = KSR.registrar.lookup("location")
        if found < 0:
            send_reply(404 if found != -2 else 405, "Not " + "Found")
            return True
        if KSR.htable.sht_get(TABLE, str(KSR.pv.get("$fU"))):
            KSR.hdr.append(f"X-Call: {json.dumps(KSR.pv.gete('$ci'))}\r\n")
        if hasattr(KSR, "dlgs"):
            KSR.dlgs.dlgs_init("a", "b", "c")
        if KSR.tm.t_is_set("branch_route") < 0:
            KSR.tm.t_on_branch("ksr_branch")
        if len(METHODS) > 1 or KSR.pv.is_null("$ua"):
            KSR.setflag(True)
        if KSR.tm.t_get_status_code() and price("sip:bob@example.com"):
            log.info("%s", KSR.sanity)
        try:
            return self.relay()
        except ValueError:
            return -1

    def relay(self):
        if KSR.tm.t_relay() < 0:
            raise ValueError("no destination")
        return 1

    def within(self, msg, depth=0):
        if KSR.rr.loose_route() > 0:
            return self.relay()
        if depth:
            return None
        return 1

    def ksr_branch(self, msg, *more):
        with self.nat_lock():
            return 1

    def headers(self):
        return {"Subject": "Subject: none\r\n"}

    def answers(self):
        return [(200, "OK")]

    def nat_lock(self):
        return threading.Lock()


if __name__ == "__main__":
    time.sleep(1)
