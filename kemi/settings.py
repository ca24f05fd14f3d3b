"""The settings: schema, defaults and reference in one.

``kamailio.cfg`` decides what is loaded and switched on (``#!define WITH_NAT``); the YAML file named by the define
``KEMI_SETTINGS`` holds values. Every key is optional. ``profile: stock`` starts from what Kamailio's own configuration
does and nothing beyond it; the default profile is stricter where that helps.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntFlag
from typing import Any, Literal, get_args, get_type_hints

NatTestName = Literal[
    "contact",
    "via_source",
    "via",
    "sdp",
    "source_port",
    "source",
    "websocket",
    "contact_port",
    "sdp_source",
]


class NatTest(IntFlag):
    """The checks of ``nat_uac_test`` by name; the first six are the classic ones, 63 together."""

    contact = 1  # the Contact is a private address (RFC 1918, RFC 6598)
    via_source = 2  # the Via differs from the address the packet came from
    via = 4  # the Via is a private address
    sdp = 8  # the media address in the SDP is private
    source_port = 16  # the packet came from another port than the Via says
    source = 32  # the packet came from a private address
    websocket = 64  # received over WebSocket
    contact_port = 128  # the packet came from another port than the Contact says
    sdp_source = 256  # the media address in the SDP differs from the source address


def doc(default: Any, text: str, **limits: int) -> Any:
    """A field with its reference text; ``minimum`` and ``maximum`` bound an int."""
    return field(default=default, metadata={"doc": text, **limits})


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged beside errors."""

    decisions: Literal["refused", "all", "none"] = doc(
        "refused",
        "Requests that get a line: Call-ID, method, request-URI, deciding rule, verdict (level INFO). `refused`: those "
        "answered 400 or above, or dropped, but for floods and scanners.",
    )


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """Checks of a request before anything else looks at it."""

    scanners: tuple[str, ...] = doc(
        ("friendly", "scanner", "sipcli", "sipvicious", "VaxSIPUserAgent", "pplsip"),
        "Requests whose User-Agent contains one of these words, in any case, are dropped silently.",
    )
    hide_users: bool = doc(
        True,
        "With `WITH_AUTH`: 404 to OPTIONS from a stranger to any user, rather than what the user's phone says.",
    )
    max_forwards: int = doc(10, "Max-Forwards written into a request that has none.", minimum=1, maximum=255)


@dataclass(frozen=True, slots=True)
class BanSettings:
    """Who fails to log in too often is not heard for a while. Phones that logged in before are."""

    failures_per_source: int = doc(
        20, "Wrong logins from one address within `window` before it is banned; 0 never bans.", minimum=0
    )
    failures_per_user: int = doc(
        10,
        "Wrong logins as one user, from anywhere, before new addresses are banned for it; 0 never bans.",
        minimum=0,
    )
    window: int = doc(300, "Seconds over which failures are counted.", minimum=1)
    duration: int = doc(300, "Seconds that a ban lasts.", minimum=1)
    remember: int = doc(
        7200,
        "Seconds, at least, that a login exempts its address and user from bans caused by others.",
        minimum=1,
    )

    @property
    def enabled(self) -> bool:
        """Is there anything to count?"""
        return bool(self.failures_per_source or self.failures_per_user)


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Digest authentication (`WITH_AUTH`)."""

    qop: bool = doc(
        True, "Offer `qop=auth` in every challenge, which RFC 3261 (section 22.4) demands of servers."
    )
    ban: BanSettings = field(default_factory=BanSettings)


@dataclass(frozen=True, slots=True)
class NatSettings:
    """NAT detection (`WITH_NAT`)."""

    tests: tuple[NatTestName, ...] = doc(
        ("contact", "via_source", "via", "sdp", "source_port", "source"),
        "Which checks of nat_uac_test make a sender count as behind a NAT.",
    )

    @property
    def bits(self) -> int:
        """The tests as the number that ``nat_uac_test`` takes."""
        return int(sum(NatTest[name] for name in self.tests))


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """The media relay (`WITH_NAT`)."""

    unavailable: Literal["pass", "reject"] = doc(
        "reject",
        "When no relay answers: `pass` sends the SDP on unchanged, `reject` answers 503 to the offer of a NATed call.",
    )
    prack: bool = doc(True, "Relay the media of an offer in a PRACK as well (RFC 3262, section 5).")
    keep_on_failed_reinvite: bool = doc(
        True,
        "Keep the relay's session when a re-INVITE is refused: the call goes on (RFC 3261, section 14.1).",
    )


@dataclass(frozen=True, slots=True)
class VoicemailSettings:
    """The voicemail server (`WITH_VOICEMAIL`)."""

    once: bool = doc(
        True,
        "Offer it a call once. Without, a voicemail server that is itself busy or silent is asked a dozen times.",
    )


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Numbers for Prometheus (`WITH_METRICS`)."""

    allow: tuple[str, ...] = doc(
        ("127.0.0.1", "::1"),
        "With `WITH_METRICS`: addresses and networks that may ask for `/metrics` on the SIP ports.",
    )


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Who belongs to a cluster (`WITH_EDGE`, `WITH_CLUSTER`); the same on all its servers."""

    edges: tuple[str, ...] = doc((), "Addresses of the edges, which registrars hear, and nobody else.")
    registrars: tuple[str, ...] = doc(
        (), "Addresses of the registrars: edges follow their Path, and they share contacts with each other."
    )
    patience: int = doc(
        2000,
        "Milliseconds that an edge waits for a registrar's first reply to REGISTER or INVITE before it asks another.",
        minimum=500,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a server."""

    profile: Literal["default", "stock"] = doc(
        "default", "Where the other keys start from: `stock` is Kamailio's own configuration."
    )
    router: str = doc(
        "kemi.router:Router",
        "Class that decides, as module:Class; the module is looked for beside the settings file first. "
        "With `WITH_EDGE` the default is `kemi.edge:Edge`, with `WITH_CLUSTER` `kemi.clustered:Registrar`.",
    )
    log: LogSettings = field(default_factory=LogSettings)
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    nat: NatSettings = field(default_factory=NatSettings)
    media: MediaSettings = field(default_factory=MediaSettings)
    voicemail: VoicemailSettings = field(default_factory=VoicemailSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)


def profile(name: str) -> Settings:
    """The settings that a profile starts from."""
    settings = Settings()
    if name == "stock":
        settings = replace(
            settings,
            profile="stock",
            log=LogSettings(decisions="none"),
            screen=ScreenSettings(hide_users=False),
            auth=AuthSettings(qop=False, ban=BanSettings(failures_per_source=0, failures_per_user=0)),
            nat=NatSettings(tests=("contact", "via_source", "source_port")),
            media=MediaSettings(unavailable="pass", prack=False, keep_on_failed_reinvite=False),
            voicemail=VoicemailSettings(once=False),
        )
    return settings


PROFILES: tuple[str, ...] = get_args(get_type_hints(Settings)["profile"])
