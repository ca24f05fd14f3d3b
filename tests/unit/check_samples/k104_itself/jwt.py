import KSR
import jwt  # expect: K104
from redis import Redis


def mod_init():
    return Handler()


class Handler:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        KSR.info(jwt.encode({"name": Redis().get("name")}, "secret"))
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1
