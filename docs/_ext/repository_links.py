"""Links from these pages to Markdown files elsewhere in the repository, such as bench/README.md: as downloads.

On a code host they are pages; here they are none, and MyST would look for them in vain.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

_LINK = re.compile(r"\]\((?P<path>(?:\.\./)+[\w./-]+\.md)\)")


def mark(app: Sphinx, page: str, source: list[str]) -> None:
    """Have MyST take such a link for a file."""
    folder = (Path(app.srcdir) / page).parent

    def as_file(link: re.Match[str]) -> str:
        outside = not (folder / link["path"]).resolve().is_relative_to(app.srcdir)
        return f"](path:{link['path']})" if outside else link[0]

    source[0] = _LINK.sub(as_file, source[0])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.connect("source-read", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
