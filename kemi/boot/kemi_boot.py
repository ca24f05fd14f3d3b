"""The one file that Kamailio loads: modparam("app_python3", "load", ".../kemi/boot/kemi_boot.py").

It stands alone in its folder, because Kamailio puts the folder of the loaded file first on ``sys.path``. Kamailio
runs it again in every process on the RPC ``app_python.reload``, and a file that fails then kills the server: the
failed load is repeated on every message and drops a reference too many each time. So once routes are live, nothing
here can fail. The new code either works or the old code goes on serving.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import KSR

if TYPE_CHECKING:
    from kemi.handler import Handler

# Running the file again keeps its globals, so these survive a reload.
_handler: Handler | None = globals().get("_handler")
_loads: int = globals().get("_loads", 0)

# A .pyc made within the same second as an edit of the same size would hide the edit.
sys.dont_write_bytecode = True

_BOOT = Path(__file__).resolve().parent
_HOME = _BOOT.parents[1]


def mod_init() -> Any:
    """The handler that Kamailio calls from now on."""
    global _handler, _loads
    _loads += 1
    _handler = _first_load() if _handler is None else _reload(_handler)
    return _handler


def _first_load() -> Handler:
    # Kamailio may change its working directory later; a relative path would no longer lead here.
    sys.path[:] = [str(_BOOT) if Path(entry).resolve() == _BOOT else entry for entry in sys.path]
    if str(_HOME) not in sys.path:
        sys.path.insert(1, str(_HOME))
    try:
        return _build()
    except BaseException as problem:
        KSR.crit(f"kemi: not started: {_one_line(problem)}\n")
        if isinstance(problem, ModuleNotFoundError) and problem.name == "yaml":
            KSR.crit(
                f"kemi: the Python inside Kamailio, which uses {sys.prefix}, has no PyYAML: apt install python3-yaml; "
                "if it is installed, start Kamailio with /usr/bin first in PATH, where that Python looks for its home\n"
            )
        if type(problem).__name__ == "SettingsError":
            # The text says it all; where in our code it was noticed helps nobody.
            raise problem.with_traceback(None) from None
        raise


def _reload(old: Handler) -> Handler:
    previous = _forget_modules(old.folder)
    # Another interpreter may have left such a .pyc: look for none.
    bytecode, sys.pycache_prefix = sys.pycache_prefix, os.devnull
    importlib.invalidate_caches()
    try:
        new = _build()
        if old.rank is not None:
            new.child_init(old.rank)
    except BaseException as problem:  # noqa: BLE001 - see above: the old code must go on
        _forget_modules(old.folder)
        sys.modules.update(previous)
        KSR.err(f"kemi: load {_loads} failed, the previous routes go on serving: {_one_line(problem)}\n")
        for line in _clean(traceback.format_exc()).splitlines():
            KSR.err(f"kemi: {line}\n")
        return old
    finally:
        sys.pycache_prefix = bytecode
    KSR.notice(f"kemi: load {_loads}: new routes are serving\n")
    return new


def _build() -> Handler:
    from kemi.handler import build

    return build()


def _forget_modules(folder: Path | None) -> dict[str, ModuleType]:
    """Take kemi and the modules in ``folder``, the user's routes and their helpers, out of ``sys.modules``."""
    ours = {name: module for name, module in sys.modules.items() if _is_ours(name, module, folder)}
    for name in ours:
        del sys.modules[name]
    return ours


def _is_ours(name: str, module: ModuleType, folder: Path | None) -> bool:
    if name == "kemi" or name.startswith("kemi."):
        return True
    file = getattr(module, "__file__", None)
    if folder is None or not file or name == __name__:
        return False
    parents = Path(file).resolve().parents
    # A virtual environment may stand beside the settings; its packages are nobody's routes.
    installed = any(parent.name in ("site-packages", "dist-packages") for parent in parents)
    return folder in parents and not installed


def _one_line(problem: BaseException) -> str:
    try:
        text = str(problem)
    except BaseException:  # noqa: BLE001 - a stranger's __str__
        text = "(its text cannot be shown)"
    return _clean(f"{type(problem).__name__}: {' '.join(text.split())}")


def _clean(text: str) -> str:
    """``text`` as KSR.err() takes it, which raises for a NUL or a lone surrogate."""
    return text.replace("\0", "\\0").encode("utf-8", "replace").decode("utf-8")
