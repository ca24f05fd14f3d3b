import time


def look_up(number):
    time.sleep(1)  # expect: K702
