"""The presence server: state that phones publish and watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.parity.agent import Agent
from tests.parity.cases.places import TYPICAL
from tests.parity.scene import Case, Scene
from tests.parity.world import DOMAIN

PIDF = (
    '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{user}@example.com">'
    '<tuple id="t"><status><basic>{basic}</basic></status></tuple></presence>'
)
PRESENCE = {"Event": "presence", "Expires": "600"}
#: Module presence sends NOTIFY on its own account.
NOTIFY_SECONDS = 0.4
PresencePlay = Callable[[Agent, Agent], None]


def publish(agent: Agent, basic: str = "open", headers: dict[str, str | None] | None = None) -> None:
    body = PIDF.format(user=agent.user, basic=basic) if basic else ""
    kind = {"Content-Type": "application/pidf+xml"} if basic else {}
    sent = agent.ask("PUBLISH", agent.uri, body=body, headers={**PRESENCE, **kind, **(headers or {})})
    agent.login(sent)


def republish(agent: Agent, basic: str, **headers: str) -> None:
    publish(agent)
    etag = next((one.header("SIP-ETag") for one in reversed(agent.inbox) if one.header("SIP-ETag")), "none")
    publish(agent, basic, {"SIP-If-Match": etag, **headers})


def subscribe(watcher: Agent, to: str, headers: dict[str, str | None] | None = None) -> None:
    watcher.login(watcher.ask("SUBSCRIBE", to, headers={**PRESENCE, **(headers or {})}))


def _watch(watcher: Agent, bob: Agent, then: Callable[[], None] = lambda: None) -> None:
    subscribe(watcher, bob.uri)
    watcher.scene.watch(NOTIFY_SECONDS)
    watcher.reply("NOTIFY", 200)
    then()
    watcher.scene.watch(NOTIFY_SECONDS)
    watcher.reply("NOTIFY", 200)


def _unsubscribe(watcher: Agent, bob: Agent) -> None:
    def end() -> None:
        watcher.within("SUBSCRIBE", headers={**PRESENCE, "Expires": "0"})

    _watch(watcher, bob, end)


def _subscribed_before(watcher: Agent, bob: Agent) -> None:
    _watch(watcher, bob, lambda: publish(bob))


def _subscribed_after(watcher: Agent, bob: Agent) -> None:
    publish(bob)
    _watch(watcher, bob)


SLOW_PRESENCE: dict[str, PresencePlay] = {
    "subscribed before it was published": _subscribed_before,
    "subscribed after it was published": _subscribed_after,
    "unsubscribed": _unsubscribe,
}
QUICK_PRESENCE: dict[str, PresencePlay] = {
    "published": lambda watcher, bob: publish(bob),
    "published closed": lambda watcher, bob: publish(bob, "closed"),
    "refreshed": lambda watcher, bob: republish(bob, ""),
    "modified": lambda watcher, bob: republish(bob, "closed"),
    "removed": lambda watcher, bob: republish(bob, "", Expires="0"),
    "unknown ETag": lambda watcher, bob: publish(bob, "", {"SIP-If-Match": "a.1.1.1.1"}),
    "no body": lambda watcher, bob: publish(bob, ""),
    "body garbage": lambda watcher, bob: publish(bob, "<<<"),
    "PUBLISH of an unknown event": lambda watcher, bob: publish(bob, "open", {"Event": "weather"}),
    "PUBLISH without Event": lambda watcher, bob: publish(bob, "open", {"Event": None}),
    "PUBLISH without Expires": lambda watcher, bob: publish(bob, "open", {"Expires": None}),
    "SUBSCRIBE to an unknown event": lambda watcher, bob: subscribe(watcher, bob.uri, {"Event": "weather"}),
    "SUBSCRIBE without Event": lambda watcher, bob: subscribe(watcher, bob.uri, {"Event": None}),
    "SUBSCRIBE to message-summary": lambda watcher, bob: subscribe(
        watcher, bob.uri, {"Event": "message-summary"}
    ),
    "SUBSCRIBE without Contact": lambda watcher, bob: subscribe(watcher, bob.uri, {"Contact": None}),
    "SUBSCRIBE to nobody": lambda watcher, bob: subscribe(watcher, f"sip:{DOMAIN}", {"Event": "weather"}),
    "SUBSCRIBE in an unknown dialog": lambda watcher, bob: subscribe(
        watcher, bob.uri, {"To": f"<{bob.uri}>;tag=to-unknown"}
    ),
}


def presence() -> Iterator[Case]:
    for where in ("open", "nated"):
        for name, play in (QUICK_PRESENCE | SLOW_PRESENCE).items():
            yield Case("presence", f"{name}, {where}", partial(_presence, play, where))


def _presence(play: PresencePlay, where: str, scene: Scene) -> None:
    play(scene.agent("watcher", TYPICAL[where]), scene.agent("bob", TYPICAL[where]))
