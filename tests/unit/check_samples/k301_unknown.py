import KSR


def refuse():
    KSR.sl.send_replie(403, "No")  # expect: K301
    KSR.x.exit()  # expect: K301


def relay():
    reply = KSR.sl.sl_reply_errors  # expect: K301
    if KSR.tm.t_relay() < 0:
        reply()
