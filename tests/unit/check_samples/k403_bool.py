import KSR


def route():
    if KSR.is_INVITE() < 0:  # expect: K403
        return 1
    if KSR.is_myself_ruri() == -1:  # expect: K403
        return 2
    return 3
