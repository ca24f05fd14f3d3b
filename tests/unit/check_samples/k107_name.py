import KSR

LIMIT = 10


def route(request):
    if KSR.maxfwd.process_maxfwd(LIMTI) < 0:  # expect: K107
        KSR.sl.send_reply(483, "Too Many Hops")
    requests.get("http://192.0.2.1/")  # expect: K107
    return [entry for entry in __file__ if entry]


class Table:
    size = 3
    half = size // 2

    def rows(self):
        return range(size)  # expect: K107
