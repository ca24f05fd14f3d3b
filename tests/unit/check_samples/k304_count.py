import KSR


def answer():
    KSR.sl.send_reply(200)  # expect: K304
    KSR.registrar.save("location")  # expect: K304
    KSR.sl.send_reply(code=200, reason="OK")  # expect: K304
