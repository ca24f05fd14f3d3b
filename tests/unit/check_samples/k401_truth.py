import KSR


def route():
    if not KSR.siputils.has_totag():  # expect: K401
        KSR.rr.record_route()
    while KSR.tm.t_relay():  # expect: K401
        break
    first = KSR.siputils.is_first_hop() and KSR.is_REGISTER()  # expect: K401
    found = KSR.registrar.lookup("location")
    if found:  # expect: K401
        KSR.tm.t_relay()
    code = 200 if KSR.registrar.save("location", 0) else 500  # expect: K401
    return first, code, bool(KSR.tmx.t_precheck_trans())  # expect: K401


def through_names():
    lookup = KSR.registrar.lookup
    if (answer := lookup("location")) and KSR.is_INVITE():  # expect: K401
        return answer
    return None
