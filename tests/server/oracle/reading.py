"""Questions that read the message at hand: pseudo-variables, KSR.kx, credentials."""

from tests.server.oracle.messages import BARE, INVITE, REGISTER, REPLY, Question, Scenario, with_sdp

_VARIABLES = """
$ru $rU $rd $rp $rP $ou $fu $fU $fd $ft $tu $tU $td $tt $ct $cT $ci $cs $rm $rs $rr $rb
$ml $si $sp $su $Ri $Rp $ua $du $dd $dp $proto $pr $au $ar $avp(x) $var(never) $hdr(Via)
$hdr(v) $hdr(X-None) $(ru{uri.host}) $(ua{s.substr,0,3})
$(ua{s.substr,0,30000}{s.encode.hexa}) $(ua{s.len})
"""
VARIABLES = _VARIABLES.split()
_KX = """
au body callid duri fhost furi fuser method msgbuf ouri proto rcvip rcvport rhost ruri
ruser srcip srcport thost turi tuser ua cturi bodylen msglen msgtype status nhuri srcuri
srcaddr_sock rcvaddr_sock
"""
KX = _KX.split()
_KX_EMPTY = """
au body cturi duri fhost fuser rhost ruser thost tuser ua
"""
KX_EMPTY = _KX_EMPTY.split()
DIGEST = 'Authorization: Digest username="alice", realm="example.com", nonce="x", uri="sip:example.com", response="0"\n'


def reading_questions() -> list[Scenario]:
    asked: list[Question] = [(how, name) for name in VARIABLES for how in ("pv.get", "pv.gete", "pv.is_null")]
    asked += [(f"kx.get_{name}",) for name in KX] + [("kx.gets_status",)]
    asked += [(f"kx.{how}_{name}",) for name in KX_EMPTY for how in ("gete", "getw")]
    asked += [
        ("corex.has_ruri_user",),
        ("corex.has_user_agent",),
        ("siputils.is_first_hop",),
        ("is_UDP",),
        ("is_TCP",),
    ]
    asked += [("is_IPv4",), ("is_proto", "udp"), ("is_WS",), ("is_myself_srcip",), ("is_myself_ruri",)]
    digest = REGISTER.replace("X-Ask", f"{DIGEST}X-Ask")
    credentials: list[Question] = [
        ("auth.has_credentials", "example.com"),
        ("auth.has_credentials", "other.example"),
        ("kx.get_au",),
        ("pv.get", "$au"),
        ("pv.get", "$ar"),
        ("auth.consume_credentials",),
        ("auth.auth_challenge", "example.com", 0),
    ]
    return [
        Scenario("read-invite", [(with_sdp(INVITE, "192.168.1.5"), asked)]),
        Scenario("read-bare-options", [(BARE, asked)]),
        Scenario("read-reply", [(REPLY, asked)]),
        Scenario("read-credentials", [(digest, credentials)]),
        Scenario("read-no-credentials", [(REGISTER, credentials)]),
        # A byte that is not UTF-8, and a NUL, in a header (the test sends lone surrogates as bytes).
        Scenario("read-latin-1", [(INVITE.replace("Phone/1", "Ph\udcf6ne"), asked)]),
        Scenario("read-nul", [(INVITE.replace("Phone/1", "Ph\0ne"), asked)]),
    ]
