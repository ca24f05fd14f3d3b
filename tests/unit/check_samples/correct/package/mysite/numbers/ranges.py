from .. import queue
from ..queue import WAITING


def is_premium(number):
    return number.startswith("0900") and WAITING == queue.WAITING
