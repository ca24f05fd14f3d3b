"""Tables that can be read on a phone: each cell knows its column's title.

Where the page is narrow, kemi.css stacks the cells of a row and shows the titles.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator


class Translator(HTML5Translator):
    """Sphinx's translator, with ``data-title`` on cells."""

    _title = ""

    def visit_entry(self, node: nodes.entry) -> None:
        """A cell begins."""
        row = node.parent
        body = row.parent if row is not None else None
        self._title = _title(node) if isinstance(body, nodes.tbody) else ""
        super().visit_entry(node)
        self._title = ""

    def starttag(
        self, node: nodes.Element, tagname: str, suffix: str = "\n", empty: bool = False, **attributes: Any
    ) -> str:
        """A tag; docutils gives cells no other attributes than those it knows."""
        if self._title and tagname.lower() == "td":
            attributes["data-title"] = self._title
        return super().starttag(node, tagname, suffix, empty, **attributes)


def _title(cell: nodes.Element) -> str:
    group = cell.parent.parent.parent
    for head in group.findall(nodes.thead):
        titles = head[0].children
        column = cell.parent.index(cell)
        return titles[column].astext() if column < len(titles) else ""
    return ""


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.set_translator("html", Translator, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
