"""The functions of KSR as pages of these documents: what `kemi stubs --reference` writes, in reference/ksr/."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from kemi.stubs import reference

_TREE = """
```{toctree}
:hidden:
:glob:

*
```
"""


def write(app: Sphinx) -> None:
    """Write the pages that have changed, remove those that are no more."""
    folder = Path(app.srcdir) / "reference" / "ksr"
    folder.mkdir(parents=True, exist_ok=True)
    pages = reference.pages()
    pages["index.md"] += _TREE
    for path in folder.iterdir():
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
