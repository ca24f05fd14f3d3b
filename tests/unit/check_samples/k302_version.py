import KSR


def challenge():
    KSR.auth.www_challenge("example.com", 0)  # expect: K302
    if hasattr(KSR.sl, "send_reply_error"):
        KSR.sl.send_reply_error()
