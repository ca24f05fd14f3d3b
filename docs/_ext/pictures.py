"""Pictures of NATs (``{nat-picture} symmetric``), SVG files (``{picture} FILE``), terminals (``{screen} NAME``).

They stand in the page itself, so that they take its colours, light or dark.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from kemi.lab.nat import PRESETS, Filtering, Mapping, Nat

HOLE = "20001"
OTHER_HOLE = "23417"

_WORDS = {
    Mapping.ENDPOINT_INDEPENDENT: "One public port for all peers.",
    Mapping.ADDRESS_AND_PORT_DEPENDENT: "Another public port for each peer.",
    Filtering.ENDPOINT_INDEPENDENT: "Anybody may send to it.",
    Filtering.ADDRESS_DEPENDENT: "Who was sent to may answer, from any port.",
    Filtering.ADDRESS_AND_PORT_DEPENDENT: "Only the address and port that was sent to may answer.",
}

# Who sends to the hole: what stands in the box, its height, and which filters let it in.
_SENDERS = (
    ("the server", "its port 5060", 40, tuple(Filtering)),
    (
        "the server",
        "another port",
        110,
        (Filtering.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT),
    ),
    ("other phone", "never sent to", 180, (Filtering.ENDPOINT_INDEPENDENT,)),
)


def draw(nat: Nat) -> str:
    """A phone that has sent to the server's port 5060, and who may now send to the hole that this made."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 276" width="360" height="276" role="img" '
        f'font-family="sans-serif" font-size="12" fill="currentColor" aria-label="{nat.name} NAT">',
        f'<text x="180" y="14" text-anchor="middle" font-weight="bold" font-size="14">{nat.name}</text>',
        _box(4, 90, 84, "the phone", "192.168.1.10"),
        '<rect x="134" y="28" width="70" height="196" rx="6" fill="none" stroke="currentColor" stroke-width="2"/>',
        '<text x="169" y="218" text-anchor="middle" font-size="11">NAT</text>',
        f'<text x="169" y="78" text-anchor="middle" font-size="11">:{HOLE}</text>',
        _arrow(88, 104, 134, 84, "currentColor"),
        _arrow(204, 48, 256, 48, "currentColor"),
    ]
    for title, subtitle, y, admitted in _SENDERS:
        parts.append(_box(256, y, 100, title, subtitle))
        target = 58 + (y - 40) * 0.32
        if nat.filtering in admitted:
            parts.append(_arrow(256, y + 24, 206, target + 16, "var(--good)"))
        else:
            parts.append(_arrow(256, y + 24, 222, target + 26, "var(--bad)", dash=True))
            parts.append(f'<text x="212" y="{target + 30:.0f}" fill="var(--bad)" font-weight="bold">✗</text>')
    if nat.mapping is Mapping.ADDRESS_AND_PORT_DEPENDENT:
        parts += [
            f'<text x="169" y="172" text-anchor="middle" font-size="11">:{OTHER_HOLE}</text>',
            '<text x="169" y="186" text-anchor="middle" font-size="9">for others</text>',
            _arrow(88, 126, 134, 164, "currentColor", dash=True),
        ]
    for line, words in enumerate((_WORDS[nat.mapping], _WORDS[nat.filtering])):
        parts.append(f'<text x="180" y="{246 + 18 * line}" text-anchor="middle">{words}</text>')
    return "".join([*parts, "</svg>"])


def _box(x: int, y: int, width: int, title: str, subtitle: str) -> str:
    middle = x + width / 2
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="44" rx="6" fill="none" stroke="currentColor"/>'
        f'<text x="{middle}" y="{y + 18}" text-anchor="middle" font-weight="bold">{title}</text>'
        f'<text x="{middle}" y="{y + 35}" text-anchor="middle" font-size="11">{subtitle}</text>'
    )


def _arrow(x1: float, y1: float, x2: float, y2: float, colour: str, *, dash: bool = False) -> str:
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    back_x, back_y = x2 - 9 * dx, y2 - 9 * dy
    dashes = ' stroke-dasharray="4 3"' if dash else ""
    head = f"{x2:.1f},{y2:.1f} {back_x - 4 * dy:.1f},{back_y + 4 * dx:.1f} {back_x + 4 * dy:.1f},{back_y - 4 * dx:.1f}"
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{back_x:.1f}" y2="{back_y:.1f}" stroke="{colour}" stroke-width="2"{dashes}/>'
        f'<polygon points="{head}" fill="{colour}"/>'
    )


class NatPicture(SphinxDirective):
    """``{nat-picture} NAME``: one of kemi.lab's NATs."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Called by Sphinx."""
        nats = {nat.name: nat for nat in PRESETS}
        if self.arguments[0] not in nats:
            raise self.error(f"expected one of {', '.join(nats)}; found {self.arguments[0]!r}")
        return [_figure(draw(nats[self.arguments[0]]))]


class Picture(SphinxDirective):
    """``{picture} FILE.svg``: a file of docs/pictures, in the page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Called by Sphinx."""
        path = Path(self.env.srcdir) / "pictures" / self.arguments[0]
        self.env.note_dependency(str(path))
        return [_figure(path.read_text(encoding="utf-8"))]


class Screen(SphinxDirective):
    """``{screen} NAME``: a terminal that docs/screens.py has taken."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Called by Sphinx."""
        path = Path(self.env.srcdir) / "screens" / f"{self.arguments[0]}.html"
        self.env.note_dependency(str(path))
        screen = f'<div class="screen" tabindex="0"><pre>{path.read_text(encoding="utf-8")}</pre></div>'
        return [nodes.raw("", screen, format="html")]


def _figure(svg: str) -> nodes.raw:
    return nodes.raw("", f'<figure class="picture">{svg}</figure>', format="html")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive("nat-picture", NatPicture)
    app.add_directive("picture", Picture)
    app.add_directive("screen", Screen)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
