import subprocess
import time
from urllib.request import urlopen

import KSR


def mod_init():
    return Handler()


class Handler:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        time.sleep(0.5)  # expect: K702
        self.tell()
        subprocess.run(["true"], timeout=1)
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def tell(self):
        urlopen("http://192.0.2.1/")  # expect: K702


def in_a_thread():
    time.sleep(60)
