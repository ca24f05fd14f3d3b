"""The generated part of docs/scale.md, from the newest figures of the history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import history
from bench.report import plots, projection, tables
from bench.scale.restart import DB_MODES

BEGIN, END = "<!-- scale:begin -->", "<!-- scale:end -->"
_PLOT = "scale-contacts.svg"


def fill(page: Path) -> None:
    """Put tables and plot between the marks. Raises ValueError for a page without them."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page}: expected the marks {BEGIN} and {END}, found otherwise")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n{_generated(page.parent)}\n{END}{tail}")


def _generated(docs: Path) -> str:
    files = sorted(history.HISTORY.glob("scale-kamailio*.json"))
    if not files:
        raise ValueError(
            f"{history.HISTORY}: expected scale-kamailio*.json, found none; python -m bench scale --keep"
        )
    parts = []
    for file in files:
        kept: dict[str, Any] = json.loads(file.read_text())
        version = file.stem.rpartition("-kamailio")[2]
        writers = {
            "workers": _workers,
            "contacts": _contacts,
            "restart": _restart,
            "media": _media,
            "soak": _soak,
        }
        for part, write in writers.items():
            if part in kept:
                parts.append(_title(part, version, kept[part]["machine"]) + write(kept[part]["figures"]))
        if "contacts" in kept:
            _draw(kept["contacts"]["figures"], docs / _PLOT)
            parts.append(f"![Cost by the size of the table]({_PLOT})\n")
        parts += _projection(kept, version)
    return "\n".join(parts)


_TITLES = {
    "workers": "More workers",
    "contacts": "More contacts",
    "restart": "Restarts",
    "media": "More calls through the relay",
    "soak": "Many messages",
}


def _title(part: str, version: str, machine: dict[str, str]) -> str:
    return (
        f"### {_TITLES[part]}\n\nKamailio {version}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['date']} UTC.\n\n"
    )


def _workers(figures: list[dict[str, Any]]) -> str:
    rows = [
        [
            f"{one['workers']}, {one['workload']}",
            f"{one['cpu']:.1f}",
            f"{one['rate']:,.0f}",
            f"{one['cores']:.2f}",
        ]
        for one in figures
    ]
    return tables.table(["workers", "CPU µs per request", "per second", "cores kept busy"], rows) + "\n"


def _contacts(figures: list[dict[str, Any]]) -> str:
    rows = [
        [
            f"{one['server']}, {one['contacts']:,}",
            f"{one['memory']:,.0f}",
            f"{one['refresh']:.1f}",
            f"{one['lookup']:.1f}",
            f"{one['keepalive']:.1f}" if one["keepalive"] is not None else "",
        ]
        for one in figures
    ]
    head = ["contacts", "bytes each", "REGISTER, CPU µs", "MESSAGE to one, CPU µs", "keepalive, CPU µs"]
    return tables.table(head, rows) + "\n"


def _draw(figures: list[dict[str, Any]], file: Path) -> None:
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in figures:
        for what, title in (("refresh", "REGISTER"), ("lookup", "MESSAGE to one")):
            lines.setdefault(f"{title}, {one['server']}", []).append((one["contacts"], one[what]))
    plots.growth("Cost by the size of the location table", "CPU µs", lines, file)


def _restart(figures: list[dict[str, Any]]) -> str:
    rows = [
        [
            f"{one['db_mode']} ({DB_MODES[one['db_mode']]}){', ' + one['database'] if one['db_mode'] else ''}",
            f"{one['contacts']:,}",
            f"{one['answers']:.2f}",
            f"{one['reaches']:.2f}" if one["reaches"] is not None else "when the phone registers again",
        ]
        for one in figures
    ]
    head = [
        "`USRLOC_DBMODE`",
        "contacts",
        "s to the first answer",
        "s to the first call that reaches a phone",
    ]
    return tables.table(head, rows) + "\n"


def _media(figures: list[dict[str, Any]]) -> str:
    rows = [
        [
            str(one["calls"]),
            f"{one['sent']:,}",
            f"{one['lost']:,} ({one['lost'] / one['sent']:.2%})",
            f"{one['relay']:.2f}",
            f"{one['server']:.2f}",
        ]
        for one in figures
    ]
    head = ["calls", "packets sent", "lost", "relay, CPU ms per s and call", "Kamailio, CPU ms per call"]
    return tables.table(head, rows) + "\n"


def _soak(figures: list[dict[str, Any]]) -> str:
    rows = [
        [f"{one['messages']:,}", f"{one['worker'] / 1e6:.2f}", f"{one['shared'] / 1e6:.1f}"]
        for one in figures
    ]
    return tables.table(["messages", "MB of one worker alone", "MB of shared memory in use"], rows) + "\n"


def _projection(kept: dict[str, Any], version: str) -> list[str]:
    results = [result for result in history.latest() if result.kamailio == version]
    if not results or not {"contacts", "media"} <= set(kept):
        return []
    speed = {name: found["kemi"].cpu for name, found in results[0].figures["qm"].items()}
    own = [one for one in kept["contacts"]["figures"] if one["server"] == "kemi"]
    media = [one for one in kept["media"]["figures"] if one["calls"] >= _MANY_CALLS]
    if not media:
        return []
    costs = projection.costs(speed, own[-1], media[-1]["relay"])
    habits = projection.Habits()
    needs = [projection.need(users, costs) for users in projection.USERS]
    rows = [
        ["REGISTER per second", *(f"{one.registers:,.0f}" for one in needs)],
        ["keepalives per second, from each registrar", *(f"{one.keepalives:,.0f}" for one in needs)],
        ["calls begun per second, held", *(f"{one.calls:,.0f}, {one.held:,.0f}" for one in needs)],
        ["contacts in each registrar", *(f"{one.memory / 1e9:.2f} GB" for one in needs)],
        [
            "pairs of registrars (busy cores of each registrar)",
            *(f"{one.pairs} ({one.registrar_cores:.1f})" for one in needs),
        ],
        ["edges (busy cores of all)", *(f"{one.edges} ({one.edge_cores:.1f})" for one in needs)],
        ["relays (busy cores of all)", *(f"{one.relays} ({one.relay_cores:.1f})" for one in needs)],
    ]
    return [
        "### Projected, not measured\n",
        f"Each phone refreshes every {habits.refresh_seconds:.0f} s and is pinged every "
        f"{habits.keepalive_seconds:.0f} s; {habits.calls_per_hour:g} call per user in the busy hour, of "
        f"{habits.call_seconds:.0f} s, all through relays; machines of {projection.CORES} such cores, "
        f"{projection.BUSY:.0%} busy, two of each kind at least. Kamailio {version}. "
        f"Per unit: REGISTER with digest in the largest table {costs.register:.0f} µs, keepalive "
        f"{costs.keepalive:.1f} µs, call {costs.call:.0f} µs, one more hop {costs.hop:.0f} µs, media "
        f"{costs.media:.2f} ms per second and call, {costs.contact:,.0f} bytes per contact.\n",
        tables.table(["users", *(f"{one.users:,}" for one in needs)], rows) + "\n",
    ]


_MANY_CALLS = 10
