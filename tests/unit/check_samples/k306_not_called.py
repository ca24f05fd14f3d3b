import KSR


def route():
    if KSR.is_INVITE:  # expect: K306
        KSR.rr.record_route()
    KSR.tm.t_relay  # expect: K306
