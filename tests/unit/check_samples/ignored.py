import KSR


def route():
    if not KSR.siputils.has_totag():  # kemi: ignore[K401]
        KSR.rr.record_route()
    KSR.sl.send_reply("200", "OK")  # kemi: ignore[K401]  # expect: K305
