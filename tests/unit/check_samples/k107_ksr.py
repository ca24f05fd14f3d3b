def route():
    KSR.sl.send_reply(200, "OK")  # expect: K107
