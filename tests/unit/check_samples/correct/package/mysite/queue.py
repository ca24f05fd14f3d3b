"""Its name is Python's, too: within a package that harms nobody."""

WAITING = 30


def longest_wait():
    return 60
