import socket
import sqlite3

import KSR


def mod_init():
    return Handler()


class Handler:
    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # expect: K703

    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        pass
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1


DATABASE = sqlite3.connect("numbers.sqlite")  # expect: K703
