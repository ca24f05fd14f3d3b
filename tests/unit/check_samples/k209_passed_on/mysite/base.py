import time

from kemi import edge


class Base(edge.Edge):
    pass


def look_up(number):
    time.sleep(1)  # expect: K702
