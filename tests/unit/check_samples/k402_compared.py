import KSR


def route():
    if KSR.siputils.has_totag() is True:  # expect: K402
        return 1
    if KSR.tm.t_relay() == False:  # expect: K402
        return 2
    if KSR.rr.loose_route() is None:  # expect: K402
        return 3
    return 4
