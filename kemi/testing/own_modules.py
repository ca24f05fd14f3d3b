"""The modules beside a settings file: each folder has its own ``routes``, though Python knows a name once."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

_set_aside: dict[Path, ModuleType] = {}


def choose(name: str, folder: Path) -> None:
    """Have ``import name`` give the module in this folder, if there is one, and not another folder's of that name.

    A module that was imported before is given again as it is.
    """
    wanted = folder.resolve() / f"{name}.py"
    if not wanted.exists():
        return
    loaded = sys.modules.get(name)
    file = Path(getattr(loaded, "__file__", None) or "").resolve()
    if loaded is not None and file != wanted:
        _set_aside[file] = sys.modules.pop(name)
    if name not in sys.modules and wanted in _set_aside:
        sys.modules[name] = _set_aside[wanted]
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))
