"""The one file that Kamailio loads: modparam("app_python3", "load", ".../kemi/boot/kemi_boot.py").

It stands alone in its folder, because Kamailio puts the folder of the loaded file first on ``sys.path``. Kamailio
runs it again in every process on the RPC ``app_python.reload``, and a file that fails then kills the server: the
failed load is repeated on every message and drops a reference too many each time. So once routes are live, nothing
here can fail. The new code either works or the old code goes on serving.
"""

from __future__ import annotations

import gc
import importlib
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

import KSR

if TYPE_CHECKING:
    from kemi.handler import Handler
    from kemi.trace import Wish

# Running the file again keeps its globals, so these survive a reload.
_handler: Handler | None = globals().get("_handler")
_loads: int = globals().get("_loads", 0)

sys.dont_write_bytecode = True

_BOOT = Path(__file__).resolve().parent
_HOME = _BOOT.parents[1]
_STANDARD_LIBRARY = Path(traceback.__file__).resolve().parent


class _Compiled(SourceFileLoader):
    """Looks for no .pyc: one made within the same second as an edit of the same size would hide the edit."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder:
    """Finds what may be edited while the server runs; what is installed is left to Python, which reads its .pyc.

    Compiling the standard library's modules as well would leave holes of many megabytes in memory.
    """

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return spec
        if name.partition(".")[0] == "kemi" or not _is_installed(spec.loader.path):
            spec.loader = _Compiled(spec.loader.name, spec.loader.path)
        return spec


def mod_init() -> Any:
    """The handler that Kamailio calls from now on."""
    global _handler
    if _handler is None:
        _handler = _first_load()
        return _handler
    try:
        report = _handler.report
        wish = report.wish()
        # Asked for a trace alone, nobody wants what the files hold now.
        if wish is None or report.has_more_to_load():
            _handler = _reload(_handler)
            if _handler.report.has_more_to_load():
                # Kamailio forgets a reload that is asked for during one.
                _handler = _reload(_handler)
            wish = _handler.report.wish()
        if wish is not None:
            return _trace(_handler, wish)
    except BaseException as problem:  # noqa: BLE001 - see above: the old code must go on
        _log_failure("load", problem)
    return _handler


def _first_load() -> Handler:
    global _loads
    _loads += 1
    # Kamailio may change its working directory later; a relative path would no longer lead here.
    sys.path[:] = [str(_BOOT) if Path(entry).resolve() == _BOOT else entry for entry in sys.path]
    if str(_HOME) not in sys.path:
        sys.path.insert(1, str(_HOME))
    try:
        handler = _build()
        handler.write_out()
        handler.take_over()
        _describe(handler, 0)
        _prepare_fork(handler)
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
    return handler


def _reload(old: Handler) -> Handler:
    global _loads
    _loads += 1
    number = old.report.asked_reloads()
    previous = _forget_modules(old.folder)
    try:
        new = _build()
        _describe(new, number)
        if old.rank is not None:
            new.child_init(old.rank)
        new.take_over()
    except BaseException as problem:  # noqa: BLE001 - see above: the old code must go on
        _restore_modules(previous, old.folder)
        _log_failure("load", problem)
        old.report.refused(number, _one_line(problem))
        return old
    with suppress(Exception):
        old.retire()
    KSR.notice(f"kemi: load {_loads}: new routes are serving\n")
    return new


def _trace(plain: Handler, wish: Wish) -> Any:
    """A handler that records what the same routes do until the trace ends, and then is `plain` again.

    It is made of the files as they are now, so it is refused when they are no longer those that serve: nobody who asks
    for a trace asks for a change.
    """
    from kemi.trace import Recorder, RecordingModule, TracedHandler, record_rules

    if plain.report.files_have_changed():
        plain.report.traces(wish, "the files have changed since they were loaded; run `kemi reload` first")
        return plain
    recorder = Recorder(wish)
    previous = _forget_modules(plain.folder)
    sys.modules["KSR"] = RecordingModule("KSR", KSR, recorder)
    try:
        built = _build()
        router = type(built.router)(built.router.settings, built.router.features)
        record_rules(router, recorder)
        traced = type(built)(router, built.folder)
        traced.report = plain.report
        if plain.rank is not None:
            traced.child_init(plain.rank)
    except BaseException as problem:  # noqa: BLE001 - see above
        _log_failure("trace", problem)
        plain.report.traces(wish, _one_line(problem))
        return plain
    finally:
        sys.modules["KSR"] = KSR
        _restore_modules(previous, plain.folder)
    plain.report.traces(wish)
    return TracedHandler(plain, traced, recorder, KSR)


def _build() -> Handler:
    importlib.invalidate_caches()
    sys.meta_path.insert(0, _Finder)
    try:
        from kemi.handler import build

        return build()
    finally:
        sys.meta_path.remove(_Finder)


def _prepare_fork(handler: Handler) -> None:
    """Leave all processes as much as possible in common: a page that one of them writes to becomes its own."""
    from kemi import memory

    handler.report.for_all = True
    memory.leave_free_fragments()
    # A collection after the fork would write to every object.
    gc.collect()
    gc.freeze()


def _describe(handler: Handler, number: int) -> None:
    from kemi import features

    settings = features.settings_path()
    modules = [m for name, m in sys.modules.items() if _is_ours(name, m, handler.folder)]
    files = {Path(m.__file__) for m in modules if m.__file__} | ({settings} if settings else set())
    handler.report.describe(number, files, settings)


def _forget_modules(folder: Path | None) -> dict[str, ModuleType]:
    """Take kemi and the modules in ``folder``, the user's routes and their helpers, out of ``sys.modules``."""
    ours = {name: module for name, module in sys.modules.items() if _is_ours(name, module, folder)}
    for name in ours:
        del sys.modules[name]
    # The load before the last is garbage by now, with cycles. Left to itself, Python would look for it seldom.
    gc.unfreeze()
    gc.collect()
    return ours


def _restore_modules(previous: dict[str, ModuleType], folder: Path | None) -> None:
    _forget_modules(folder)
    sys.modules.update(previous)


def _is_ours(name: str, module: ModuleType, folder: Path | None) -> bool:
    if name == "kemi" or name.startswith("kemi."):
        return True
    file = getattr(module, "__file__", None)
    if folder is None or not file or name == __name__:
        return False
    # A virtual environment may stand beside the settings; its packages are nobody's routes.
    return folder in Path(file).resolve().parents and not _is_installed(file)


def _is_installed(file: str) -> bool:
    parents = Path(file).resolve().parents
    return _STANDARD_LIBRARY in parents or any(
        parent.name in ("site-packages", "dist-packages") for parent in parents
    )


def _log_failure(what: str, problem: BaseException) -> None:
    """Within the ``except`` of the problem."""
    KSR.err(f"kemi: {what} {_loads} failed, the previous routes go on serving: {_one_line(problem)}\n")
    for line in _clean(traceback.format_exc()).splitlines():
        KSR.err(f"kemi: {line}\n")


def _one_line(problem: BaseException) -> str:
    try:
        text = str(problem)
    except BaseException:  # noqa: BLE001 - a stranger's __str__
        text = "(its text cannot be shown)"
    return _clean(f"{type(problem).__name__}: {' '.join(text.split())}")


def _clean(text: str) -> str:
    """``text`` as KSR.err() takes it, which raises for a NUL or a lone surrogate."""
    return text.replace("\0", "\\0").encode("utf-8", "replace").decode("utf-8")
