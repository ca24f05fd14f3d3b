"""sipvicious attacks the server while alice, behind her NAT, goes on calling bob."""

import contextlib
import re
import time
from collections.abc import Iterator, Sequence

import pytest

from kemi.lab.lab import Lab
from kemi.lab.nat import PORT_RESTRICTED, SYMMETRIC
from kemi.lab.network import PUBLIC_PHONES
from kemi.lab.phone import Phone
from kemi.lab.report.message import Message
from kemi.lab.server import DEFINES, DOMAIN
from tests.nat.attacker import ITS_OWN_NAME, Attack, Attacker
from tests.nat.conversation import MARGIN, SECONDS, eventually, phone, require_heard, require_nothing_left

WEAK_PASSWORD = "letmein"
WORDS = (*(f"wrong{number}" for number in range(60)), WEAK_PASSWORD, "more", "yet more")

GAPS = 0.5
"""Seconds of a conversation that may be missing: this machine also runs the attack."""

PATIENCE = 8
"""Seconds for which svcrack goes on sending when it gets no answer any more: longer than a call takes."""


class Town:
    """alice behind the office's NAT and bob behind his, both logged in; carol has a weak password and no phone."""

    def __init__(self, lab: Lab) -> None:
        lab.trust(PORT_RESTRICTED, SYMMETRIC)
        lab.server.add_users({"carol": WEAK_PASSWORD})
        self.lab = lab
        self.office = lab.gateway(PORT_RESTRICTED, name="office")
        self.alice = lab.phone("alice", behind=self.office)
        self.alice.register()
        self.bob = phone(lab, "bob", SYMMETRIC)

    def stranger(self, name: str = "stranger") -> Attacker:
        """An attacker somewhere on the internet."""
        return Attacker(self.lab, self.lab.internet.host(name, PUBLIC_PHONES))

    def intruder(self) -> Attacker:
        """An attacker in alice's office: the server sees both at the same address."""
        return Attacker(self.lab, self.office.host("intruder"))

    @contextlib.contextmanager
    def talking(self) -> Iterator[None]:
        """alice calls bob; each hears the other all through the block and for some seconds beyond it."""
        call = self.alice.call(self.bob)
        call.established()
        call.listen(MARGIN)
        began = time.time()
        yield
        call.listen_further(SECONDS)
        require_heard(call, began, time.time() - began - GAPS)
        self.alice.hang_up()
        call.closed()

    def require_ban(self, whom: str, failures: int, source: str, user: str) -> None:
        """Wait for the log line that says so; `source` and `user` are those of the last failure."""
        self.require_log(
            re.escape(f"banned {whom} for 300 s after {failures} failed logins, the last from {source}:")
            + rf"\d+ as {user}\b"
        )

    def require_log(self, pattern: str) -> None:
        """Wait until Kamailio's log has a line that matches."""
        log = self.lab.server.log
        eventually(
            f"a line {pattern!r} in {log}",
            lambda: bool(re.search(pattern, log.read_text(errors="replace"))),
            10,
        )


@pytest.fixture
def town(lab: Lab) -> Town:
    lab.kamailio()
    return Town(lab)


def without_randomness(reply: Message, name: str = "") -> list[str]:
    """A reply as text, without what differs for every request; `name` is who was asked for."""
    lines = [reply.first_line, *map(str, reply.headers), reply.body]
    text = "\n".join(line for line in lines if not line.startswith(("Via:", "Call-ID:")))
    text = re.sub(r'\b(tag|nonce)="?[^";]*"?', r"\1=*", text)
    return (text.replace(name, "NAME") if name else text).splitlines()


def asked_for(reply: Message) -> str:
    """The user whom the answered request was for."""
    found = re.search(r"<sip:([^@>]+)@", reply.value("To"))
    assert found, reply
    return found[1]


# -- svmap: who is there?


def test_svmap_finds_nothing_under_its_own_name(town: Town) -> None:
    stranger = town.stranger()
    with town.talking():
        report = stranger.run("svmap", user_agent=ITS_OWN_NAME)
    assert "found nothing" in report
    assert stranger.received() == []


def test_svmap_under_a_phones_name_learns_that_sip_is_spoken_and_nothing_else(town: Town) -> None:
    """A user with a phone, one without, nobody, and what svmap asks for if nothing is said: all answers are one."""
    stranger = town.stranger()
    with town.talking():
        scans = [stranger.start("svmap")]
        scans += [stranger.start("svmap", "-e", name) for name in ("alice", "bob", "carol", "nobody")]
        reports = [scan.report() for scan in scans]
    agents = [re.findall(rf"\| {town.lab.server.proxy} +\| (\S+) +\|", report) for report in reports]
    assert agents == [["kemi"]] * len(scans)
    replies = stranger.replies()
    assert len(replies) == len(scans)
    first, *others = [without_randomness(reply) for reply in replies]
    assert all(other == first for other in others)
    assert first[0] == "SIP/2.0 404 Not Found"
    assert not re.search(r"kamailio|baresip|python", "\n".join(first), re.IGNORECASE)
    for asked in (town.alice, town.bob):
        assert asked.received("OPTIONS") == []


def test_svmap_learns_names_and_versions_from_a_server_that_hides_nothing(lab: Lab) -> None:
    """The counter-proof: the stock configuration, with a phone's name."""
    lab.kamailio(settings="profile: stock", defines=(*DEFINES, "WITH_SERVER_VERSION"))
    bob = phone(lab, "bob", SYMMETRIC)
    stranger = Attacker(lab, lab.internet.host("stranger", PUBLIC_PHONES))
    scans = [stranger.start("svmap", "-e", name) for name in ("bob", "nobody")]
    about_bob, about_nobody = [scan.report() for scan in scans]
    assert "| baresip v" in about_bob
    assert "| kamailio (" in about_nobody
    assert len(bob.received("OPTIONS")) == 1


# -- svwar: which names exist?


@pytest.mark.parametrize(
    ("method", "status"), [("REGISTER", "401 Unauthorized"), ("INVITE", "407 Proxy Authentication Required")]
)
def test_svwar_gets_the_same_answer_for_every_name(town: Town, method: str, status: str) -> None:
    stranger = town.stranger()
    known = ("alice", "bob", "carol")
    with town.talking():
        began = time.time()
        rings = town.bob.mark()
        # svwar first asks for a name that it makes up, and stops at the first answer that is the same.
        for name in (*known, "nobody"):
            for domain in (DOMAIN, town.lab.server.host.address):
                words = stranger.word_list(name)
                report = stranger.run("svwar", "-m", method, "--force", "--domain", domain, "-d", words)
                assert "found nothing" in report
                assert "exist" not in report
        untold = stranger.run("svwar", "-m", method, "-d", stranger.word_list(*known))
    assert "replied with an authentication request for an unknown extension" in untold
    assert _rings(town.bob, began, rings) == 0
    replies = stranger.replies()
    assert {asked_for(reply) for reply in replies} > {*known, "nobody"}
    for domain in (DOMAIN, town.lab.server.host.address):
        answers = {
            tuple(without_randomness(reply, asked_for(reply)))
            for reply in replies
            if f"@{domain}>" in reply.value("To")
        }
        assert len(answers) == 1, answers
        assert answers.pop()[0] == f"SIP/2.0 {status}"


def _rings(callee: Phone, since: float, mark: int) -> int:
    """How often somebody tried to reach that phone: by its wire, and by its own account."""
    invited = [one for one in callee.received("INVITE", since) if one.is_request]
    incoming = [event for event in callee.control.events[mark:] if event.kind == "CALL_INCOMING"]
    return len(invited) + len(incoming)


def test_svwar_finds_who_exists_where_nobody_is_asked_for_a_password(lab: Lab) -> None:
    """The counter-proof: the attack works, and so does what looks for its traces."""
    lab.kamailio(defines=[define for define in DEFINES if define != "WITH_AUTH"])
    bob = lab.phone("bob", behind=lab.gateway(SYMMETRIC), auto_answer=False)
    bob.register()
    began, rings = time.time(), bob.mark()
    stranger = Attacker(lab, lab.internet.host("stranger", PUBLIC_PHONES))
    words = stranger.word_list("nobody", "bob", "carol")
    report = stranger.run("svwar", "-m", "INVITE", "--domain", DOMAIN, "-d", words)
    assert re.findall(r"extension '(\w+)'", report) == ["bob"]
    assert _rings(bob, began, rings) > 0


# -- svcrack: what is the password?


def crack(
    attacker: Attacker, user: str, words: Sequence[str] = WORDS, pause: float = 0.05, patience: int = PATIENCE
) -> Attack:
    """Have svcrack try passwords one by one, a `pause` (in seconds) before each."""
    options = ["-u", user, "--domain", DOMAIN, "-d", attacker.word_list(*words)]
    return attacker.start("svcrack", *options, "-t", str(pause), "--maximumtime", str(patience))


def refused_guesses(attacker: Attacker) -> int:
    """How many passwords were answered with no. svcrack's requests with a password have the CSeq 2."""
    refused = [reply for reply in attacker.replies() if reply.first_line == "SIP/2.0 401 Unauthorized"]
    return sum(reply.value("CSeq") == "2 REGISTER" for reply in refused)


def test_svcrack_is_banned_before_it_gets_to_the_password(town: Town) -> None:
    """With the limits as they come: 10 failures per user, 20 per address. One attacker sits in alice's office."""
    stranger, other, intruder = town.stranger(), town.stranger("other"), town.intruder()
    office = town.office.public_address
    attacks = [crack(stranger, "carol"), crack(other, "nobody"), crack(intruder, "alice")]
    with town.talking():
        for user, source in (
            ("carol", stranger.host.address),
            ("nobody", other.host.address),
            ("alice", office),
        ):
            town.require_ban(f"@{user}", 10, source, user)
        attacks.append(crack(intruder, "dave"))
        town.require_ban("@dave", 10, office, "dave")
        town.require_ban(office, 20, office, "dave")
    # Both alice's name and her address are banned now, and svcrack goes on.
    assert all(attack.is_running for attack in attacks)
    town.alice.register()
    with town.talking():
        assert all("found nothing" in attack.report() for attack in attacks)
    # A name that exists is given as many tries as one that does not.
    assert refused_guesses(stranger) == refused_guesses(other) == 10
    assert {reply.first_line for reply in stranger.replies()} == {"SIP/2.0 401 Unauthorized"}
    require_nothing_left(town.lab)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("profile: stock\nauth: {qop: true}", True),
        ("auth: {ban: {failures_per_source: 0, failures_per_user: 0}}", True),
        ("auth: {ban: {failures_per_source: 3, failures_per_user: 0}}", False),
        ("auth: {ban: {failures_per_source: 0, failures_per_user: 3}}", False),
    ],
    ids=["stock", "no limits", "per source", "per user"],
)
def test_svcrack_finds_a_weak_password_unless_there_is_a_limit(lab: Lab, settings: str, found: bool) -> None:
    """The counter-proof. It needs qop: without, svcrack 0.3.8 sends what no server takes for an answer."""
    lab.kamailio(settings=settings)
    lab.server.add_users({"carol": WEAK_PASSWORD})
    stranger = Attacker(lab, lab.internet.host("stranger", PUBLIC_PHONES))
    report = crack(stranger, "carol", ["one", "two", "three", WEAK_PASSWORD], patience=1).report()
    assert refused_guesses(stranger) == 3
    assert (f"The password for carol is {WEAK_PASSWORD}" in report) is found
    assert ("found nothing" in report) is not found
    assert ("SIP/2.0 200 OK" in {reply.first_line for reply in stranger.replies()}) is found


def test_a_flood_from_the_office_bans_the_flooder_but_not_alice(lab: Lab) -> None:
    lab.kamailio(defines=(*DEFINES, "WITH_ANTIFLOOD"))
    town = Town(lab)
    intruder = town.intruder()
    attack = crack(intruder, "carol", pause=0.005)
    with town.talking():
        town.require_log(rf"flood from {re.escape(town.office.public_address)}:\d+: banned")
    assert attack.is_running
    answered = len(intruder.replies())
    town.alice.register()
    with town.talking():
        assert "found nothing" in attack.report()
        # The ban holds for everybody at that address who has not logged in.
        assert "found nothing" in intruder.run("svmap")
    assert len(intruder.replies()) == answered
    require_nothing_left(lab)
