import KSR


def has_totag():
    if KSR.siputils.has_totag() > 0  # expect: K101
        return True
