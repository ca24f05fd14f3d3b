import KSR

CODE = "404"


def answer(user):
    KSR.sl.send_reply("200", "OK")  # expect: K305
    KSR.sl.send_reply(CODE, "Not Found")  # expect: K305
    KSR.hdr.append(None)  # expect: K305
    KSR.setflag(f"{user}")  # expect: K305
