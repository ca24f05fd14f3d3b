"""REGISTER, good and bad."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from kemi.testing.compose import replace
from tests.parity.agent import Agent, Headers, Place
from tests.parity.cases.places import SAME_PORT, TCP, TLS, TYPICAL, places
from tests.parity.scene import Case, Scene

Play = Callable[[Agent], None]
INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'


def new(agent: Agent) -> None:
    agent.register()


def again(agent: Agent, number: int, headers: Headers | None = None) -> None:
    """A later REGISTER of the same phone, with the same Call-ID."""
    same = {"Call-ID": agent.call_id, "CSeq": f"{number} REGISTER"}
    agent.register(headers={**same, **(headers or {})})


def refresh(agent: Agent) -> None:
    again(agent, 1)
    again(agent, 2)


def query(agent: Agent) -> None:
    agent.register()
    agent.register(headers={"Contact": None, "Expires": None})


def query_nothing(agent: Agent) -> None:
    agent.register(headers={"Contact": None, "Expires": None})


def remove(agent: Agent) -> None:
    again(agent, 1)
    again(agent, 2, {"Expires": "0"})
    agent.register(headers={"Contact": None, "Expires": None})


def remove_by_parameter(agent: Agent) -> None:
    again(agent, 1)
    again(agent, 2, {"Contact": f"{agent.contact};expires=0"})


def remove_all(agent: Agent) -> None:
    agent.register()
    agent.register(headers={"Contact": "*", "Expires": "0"})


def remove_what_is_not_there(agent: Agent) -> None:
    agent.register(0)


def older_cseq(agent: Agent) -> None:
    again(agent, 5)
    again(agent, 4)
    again(agent, 5)


def repeated(agent: Agent) -> None:
    sent = agent.register()
    agent.send(sent)


def moved(agent: Agent) -> None:
    agent.register()
    agent.register(headers={"Contact": f"<sip:{agent.user}@{agent.host}:9>"})


def one(agent: Agent, **headers: str | None) -> None:
    """One REGISTER with other headers. In one, {c} is the agent's contact, {u} its user, {h} its host."""
    filled = {
        name.replace("_", "-"): value and value.format(c=agent.contact, u=agent.user, h=agent.host)
        for name, value in headers.items()
    }
    agent.register(headers=filled)
    agent.register(headers={"Contact": None, "Expires": None})


def behind_a_proxy(agent: Agent) -> None:
    """With a second Via below the top one, as from a proxy in front of the phone."""
    message = agent.request("REGISTER", f"sip:{agent.domain}", headers={"Expires": "600"})
    via = message.header("Via")
    message.headers.insert(1, ("Via", "SIP/2.0/UDP 10.77.0.200:5060;branch=z9hG4bK-below"))
    assert via
    agent.send(message)
    agent.register(headers={"Contact": None, "Expires": None})


def to_uri(uri: str, agent: Agent) -> None:
    agent.send(replace(agent.request("REGISTER", uri), "Expires", "600"))


REGISTRATIONS: dict[str, Play] = {
    "new": new,
    "refresh": refresh,
    "query": query,
    "query of nothing": query_nothing,
    "removal": remove,
    "removal by parameter": remove_by_parameter,
    "removal of all": remove_all,
    "removal of what is not there": remove_what_is_not_there,
    "older CSeq": older_cseq,
    "repeated": repeated,
    "moved": moved,
    "behind a proxy": behind_a_proxy,
    "* without Expires 0": partial(one, Contact="*"),
    "* without Expires": partial(one, Contact="*", Expires=None),
    "* and another": partial(one, Contact="*, {c}", Expires="0"),
    "two contacts": partial(one, Contact="{c}, <sip:{u}@{h}:7777>"),
    "three contacts with q": partial(one, Contact="{c};q=0.5, <sip:{u}@{h}:7777>;q=0.9, <sip:{u}@{h}:7778>"),
    "twelve contacts": partial(one, Contact=", ".join(f"<sip:{{u}}@{{h}}:{7000 + n}>" for n in range(12))),
    "one stays, one goes": partial(one, Contact="{c}, <sip:{u}@{h}:7777>;expires=0"),
    "bad q": partial(one, Contact="{c};q=7"),
    "odd q": partial(one, Contact="{c};q=0.123456"),
    "expires parameter": partial(one, Contact="{c};expires=120"),
    "expires too long": partial(one, Expires="99990"),
    "expires short": partial(one, Expires="10"),
    "expires garbage": partial(one, Expires="soon"),
    "expires negative": partial(one, Expires="-10"),
    "no Expires": partial(one, Expires=None),
    "expires parameter garbage": partial(one, Contact="{c};expires=soon"),
    "contact garbage": partial(one, Contact="<this is no contact"),
    "contact empty": partial(one, Contact=""),
    "contact tel": partial(one, Contact="<tel:+4930123456>"),
    "contact sips": partial(one, Contact="<sips:{u}@{h}>"),
    "contact mailto": partial(one, Contact="<mailto:{u}@{h}>"),
    "contact without brackets": partial(one, Contact="sip:{u}@{h}:7777"),
    "contact with display name": partial(one, Contact='"A, \\"B\\"" <sip:{u}@{h}:7777>'),
    "contact with transport": partial(one, Contact="<sip:{u}@{h}:7777;transport=udp>"),
    "contact with odd transport": partial(one, Contact="<sip:{u}@{h}:7777;transport=pigeon>"),
    "contact without user": partial(one, Contact="<sip:{h}:7777>"),
    "contact with IPv6": partial(one, Contact="<sip:{u}@[2001:db8::7]:7777>"),
    "contact with name": partial(one, Contact="<sip:{u}@phone.invalid>"),
    "contact with received": partial(one, Contact='{c};received="sip:203.0.113.250:1"'),
    "contact with alias": partial(one, Contact="<sip:{u}@{h}:7777;alias=203.0.113.250~1~1>"),
    "contact with methods": partial(one, Contact='{c};methods="INVITE, ACK, BYE"'),
    "contact with headers": partial(one, Contact="<sip:{u}@{h}:7777?Subject=x>"),
    "instance": partial(one, Contact=f"{{c}};{INSTANCE}", Supported="gruu"),
    "outbound": partial(one, Contact=f"{{c}};{INSTANCE};reg-id=1", Supported="path, outbound"),
    "Path": partial(one, Path="<sip:203.0.113.201;lr>", Supported="path"),
    "Path without Supported": partial(one, Path="<sip:203.0.113.201;lr>"),
    "Path with received": partial(
        one, Path="<sip:203.0.113.201;lr;received=sip:1.2.3.4:5>", Supported="path"
    ),
    "User-Agent": partial(one, User_Agent="Phone/1.0"),
    "Allow": partial(one, Allow="INVITE, ACK, BYE, CANCEL"),
    "To of another": partial(one, To="<sip:somebody@example.com>"),
    "To of another domain": partial(one, To="<sip:{u}@elsewhere.example>"),
    "To with a tag": partial(one, To="<sip:{u}@example.com>;tag=to-old"),
    "To without user": partial(one, To="<sip:example.com>"),
    "To tel": partial(one, To="<tel:+4930123456>"),
    "no To": partial(one, To=None),
    "no From": partial(one, From=None),
    "no Call-ID": partial(one, Call_ID=None),
    "no CSeq": partial(one, CSeq=None),
    "no Max-Forwards": partial(one, Max_Forwards=None),
    "CSeq of another method": partial(one, CSeq="1 INVITE"),
    "CSeq garbage": partial(one, CSeq="one REGISTER"),
    "CSeq too big": partial(one, CSeq="99999999999 REGISTER"),
    "Require of something": partial(one, Require="something"),
    "Proxy-Require of something": partial(one, Proxy_Require="something"),
    "scanner": partial(one, User_Agent="friendly-scanner"),
    "Content-Length wrong": partial(one, Content_Length="55"),
    "for a user": partial(to_uri, "sip:bob@example.com"),
    "for the server's address": partial(to_uri, "sip:192.0.2.10"),
    "for a foreign domain": partial(to_uri, "sip:203.0.113.240"),
    "for another port": partial(to_uri, "sip:192.0.2.10:5070"),
    "sips": partial(to_uri, "sips:example.com"),
    "tel": partial(to_uri, "tel:+4930123456"),
}


def registrations() -> Iterator[Case]:
    """Every kind of REGISTER from typical places, and the simple ones from all places."""
    for where, place in {**TYPICAL, "same port": SAME_PORT, **TCP}.items():
        for name, registration in REGISTRATIONS.items():
            yield _case(f"{name}, {where}", registration, place)
    for place in places():
        for name in ("new", "refresh", "query", "removal", "removal of all", "behind a proxy"):
            yield _case(f"{name}, {place}", REGISTRATIONS[name], place)


def registrations_over_tls() -> Iterator[Case]:
    for where, place in TLS.items():
        for name in (
            "new",
            "refresh",
            "query",
            "removal",
            "removal of all",
            "behind a proxy",
            "contact sips",
        ):
            yield _case(f"{name}, {where}", REGISTRATIONS[name], place)


def _case(name: str, registration: Play, place: Place) -> Case:
    def play(scene: Scene) -> None:
        registration(scene.agent("alice", place))

    return Case("registrations", name, play)
