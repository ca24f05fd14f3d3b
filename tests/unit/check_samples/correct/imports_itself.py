"""What it takes from itself is there."""

from typing import TYPE_CHECKING

import KSR
import imports_itself

if TYPE_CHECKING:
    from imports_itself import Handler as Handlers

def mod_init():
    return Handler()


class Handler:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        KSR.info(imports_itself.name())
        self.other()
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def other(self) -> "Handlers":
        from imports_itself import Handler

        return Handler()


def name():
    return "itself"


if __name__ == "__main__":
    from imports_itself import Handler

    print(Handler)
