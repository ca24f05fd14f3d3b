"""The servers of a cluster: what they need to start, and what an edge decides. On the wire: tests/server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kemi import handler
from kemi.clustered import Registrar
from kemi.edge import Edge
from kemi.router import Router
from kemi.settings import ClusterSettings, Settings
from kemi.settings_file import SettingsError
from kemi.testing.builders import invite, register, request
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from tests.unit.serving import MakeServer, Server

EDGE, REGISTRAR = "198.51.100.1", "198.51.100.11"
SETTINGS = replace(Settings(), cluster=ClusterSettings(edges=(EDGE,), registrars=(REGISTRAR,)))
YAML = f"cluster:\n  edges: [{EDGE}]\n  registrars: [{REGISTRAR}]\n"


@pytest.fixture
def edge(make_server: MakeServer, ksr: FakeKSR) -> Server:
    ksr.answer("dispatcher.ds_select_dst", 1)
    return make_server("WITH_EDGE", "WITH_NAT", settings=SETTINGS, router=Edge)


def build(ksr: FakeKSR, folder: Path, text: str, *defines: str) -> Router:
    """The router of a server with this kemi.yaml."""
    path = folder / "kemi.yaml"
    path.write_text(text)
    ksr.defines = {**dict.fromkeys(defines, ""), "KEMI_SETTINGS": f'"{path}"'}
    return handler.build().router


# -- who is what


@pytest.mark.parametrize(("defines", "role"), [
    (["WITH_EDGE"], Edge),
    (["WITH_CLUSTER", "SERVER_ID"], Registrar),
    ([], Router),
])  # fmt: skip
def test_a_define_says_what_a_server_is(
    ksr: FakeKSR, tmp_path: Path, defines: list[str], role: type[Router]
) -> None:
    assert type(build(ksr, tmp_path, YAML, *defines)) is role


@pytest.mark.parametrize(("text", "defines", "message"), [
    (YAML, ["WITH_EDGE", "WITH_CLUSTER"],
     "kamailio.cfg: expected WITH_EDGE or WITH_CLUSTER, found both; "
     "an edge is no registrar: run a Kamailio for each"),
    (YAML, ["WITH_CLUSTER"],
     "kamailio.cfg: WITH_CLUSTER: expected SERVER_ID to be defined, a number that no other registrar of the "
     "cluster has, found that it is not; add: -A SERVER_ID=1"),
    ("", ["WITH_EDGE"],
     "cluster.edges: WITH_EDGE is defined: expected the addresses of all edges of the cluster, found none"),
    (f"cluster: {{edges: [{EDGE}]}}", ["WITH_CLUSTER", "SERVER_ID"],
     "cluster.registrars: WITH_CLUSTER is defined: expected the addresses of all registrars of the cluster, "
     "found none"),
    (f"cluster: {{edges: [edge1], registrars: [{REGISTRAR}]}}", ["WITH_EDGE"],
     "cluster.edges: expected IP addresses, found: 'edge1' does not appear to be an IPv4 or IPv6 address"),
])  # fmt: skip
def test_a_start_that_cannot_work_is_refused(
    ksr: FakeKSR, tmp_path: Path, text: str, defines: list[str], message: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        build(ksr, tmp_path, text, *defines)
    assert str(refusal.value) == message


def test_own_rules_of_an_edge_are_those_of_an_edge_and_more(ksr: FakeKSR, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        build(ksr, tmp_path, YAML + "router: kemi.clustered:Registrar\n", "WITH_EDGE")
    assert "expected 'Registrar' in kemi.clustered to be a subclass of kemi.edge.Edge, found" in str(
        refusal.value
    )


# -- what an edge does


@pytest.mark.parametrize("nated", [True, False])
def test_a_path_says_where_the_phone_is_if_that_is_not_where_it_says(
    edge: Server, ksr: FakeKSR, nated: bool
) -> None:
    came = register(nated=nated)
    came.headers += [("Path", "<sip:192.0.2.66;lr>"), ("Route", "<sip:192.0.2.66;lr>")]
    assert edge.receive(came) is None
    [relayed] = ksr.relayed
    assert relayed.message.header("Path") is None
    assert relayed.message.header("Route") is None
    assert ksr.called("path.add_path_received" if nated else "path.add_path") == [()]
    assert ksr.called("path.add_path" if nated else "path.add_path_received") == []


def test_the_senders_real_media_address_is_written_for_the_edge_that_relays(
    edge: Server, ksr: FakeKSR
) -> None:
    reinvite = invite("bob", nated=True)
    reinvite.headers = [(key, f"{value};tag=2" if key == "To" else value) for key, value in reinvite.headers]
    reinvite.headers.append(("Route", "<sip:203.0.113.1:5060;lr>"))
    reinvite.headers.append(("Route", f"<sip:{EDGE};lr;nat=yes>"))
    assert edge.receive(reinvite) is None
    assert ksr.called("nathelper.fix_nated_sdp") == [(2,)]
    assert ksr.media == []


def test_without_a_registrar_the_phone_may_try_elsewhere(edge: Server, ksr: FakeKSR) -> None:
    ksr.answer("dispatcher.ds_select_dst", -1)
    answer = edge.receive(register())
    assert answer is not None
    assert (answer.code, answer.reason) == (503, "No registrar")


def test_contacts_are_not_shared_through_an_edge(edge: Server, ksr: FakeKSR) -> None:
    assert edge.receive(request("KDMQ", "sip:usrloc@203.0.113.1:5060")) is None
    assert not ksr.relayed
    assert not ksr.called("dmq.handle_message")


@pytest.mark.parametrize(("message", "replied", "cancelled", "asked"), [
    (register(), -1, False, True),
    (invite("bob"), -1, False, True),
    (invite("bob"), 1, False, False),
    (invite("bob"), -1, True, False),
])  # fmt: skip
def test_another_registrar_is_asked_only_if_one_said_nothing(
    edge: Server, ksr: FakeKSR, message: Message, replied: int, cancelled: bool, asked: bool
) -> None:
    edge.receive(message)
    ksr.answer("tm.t_branch_timeout", 1)
    ksr.answer("tm.t_branch_replied", replied)
    ksr.answer("dispatcher.ds_next_dst", 1)
    ksr.fail(408, cancelled=cancelled)
    assert edge.handler.ksr_on_failure(None) == 1
    assert ksr.called("dispatcher.ds_mark_dst_state") == ([("ip",)] if asked else [])
    assert len(ksr.called("tm.t_relay")) == (2 if asked else 1)
