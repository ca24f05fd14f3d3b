import KSR


def mod_init():
    return Handler()


class Handler:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        user = KSR.pv.get("$fU")
        if KSR.pv.is_null("$sht(banned=>%s)" % user):  # expect: K701
            KSR.pv.seti(f"$sht(calls=>{KSR.pv.get('$ci')})", 1)  # expect: K701
        for number in range(3):
            KSR.pv.seti(f"$var(count{number})", 0)
        self.header("Subject")
        self.mark(user)
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def header(self, name):
        return KSR.pv.get("$hdr(" + name + ")")

    def mark(self, who):
        KSR.pv.seti("$sht(seen=>" + who + ")", 1)  # expect: K701
