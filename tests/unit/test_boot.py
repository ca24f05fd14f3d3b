"""Loading and reloading: at the start a mistake stops Kamailio, later it never does."""

from __future__ import annotations

import gc
import importlib.util
import py_compile
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from kemi.testing.ksr import FakeKSR
from tests.unit.serving import HTABLES

BOOT = Path(__file__).parents[2] / "kemi" / "boot" / "kemi_boot.py"

UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH

GOOD = "from kemi.router import Router\nclass Routes(Router):\n    number = {number}\n"


@pytest.fixture
def folder(tmp_path: Path, ksr: FakeKSR) -> Iterator[Path]:
    """A folder with settings that name own_routes:Routes; what the boot file changes in this process is put back."""
    (tmp_path / "kemi.yaml").write_text("router: own_routes:Routes\n")
    ksr.defines = {"KEMI_SETTINGS": f'"{tmp_path}/kemi.yaml"'}
    ksr.htables = {name: {} for name in HTABLES}
    modules, path, writes = dict(sys.modules), list(sys.path), sys.dont_write_bytecode
    yield tmp_path
    sys.modules.clear()
    sys.modules.update(modules)
    sys.path[:] = path
    sys.dont_write_bytecode = writes
    gc.unfreeze()


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kemi_boot", BOOT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kemi_boot"] = module
    spec.loader.exec_module(module)
    return module


def _reload(module: ModuleType) -> object:
    """What app_python3 does on the RPC: the file again, in the same module, then mod_init."""
    assert module.__spec__ is not None
    assert module.__spec__.loader is not None
    module.__spec__.loader.exec_module(module)
    return module.mod_init()


def _number(handler: object) -> int:
    return int(handler.router.number)  # type: ignore[attr-defined]


def test_a_good_edit_serves_after_a_reload(folder: Path) -> None:
    (folder / "own_routes.py").write_text(GOOD.format(number=1))
    boot = _load()
    assert _number(boot.mod_init()) == 1
    (folder / "own_routes.py").write_text(GOOD.format(number=2))
    assert _number(_reload(boot)) == 2


BROKEN = {
    "syntax": "def (\n",
    "import": "import no_such_module\n",
    "raises": "1 / 0\n",
    "exits": "import sys\nsys.exit(1)\n",
    "no class": "x = 1\n",
    "no router": "class Routes: ...\n",
    "start raises": GOOD.format(number=3)
    + "    def start(self, rank):\n        raise OSError('no database')\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_edit_leaves_the_old_routes_serving(folder: Path, ksr: FakeKSR, text: str) -> None:
    (folder / "own_routes.py").write_text(GOOD.format(number=1))
    boot = _load()
    old = boot.mod_init()
    assert old.child_init(1) == 0
    for _ in range(3):
        (folder / "own_routes.py").write_text(text)
        assert _reload(boot) is old
    assert any("the previous routes go on serving" in line.text for line in ksr.log if line.level == "err")
    (folder / "own_routes.py").write_text(GOOD.format(number=4))
    new = _reload(boot)
    assert _number(new) == 4
    assert new.rank == 1  # type: ignore[attr-defined]


def test_broken_settings_leave_the_old_routes_serving(folder: Path, ksr: FakeKSR) -> None:
    (folder / "own_routes.py").write_text(GOOD.format(number=1))
    boot = _load()
    old = boot.mod_init()
    (folder / "kemi.yaml").write_text("natt: {}\n")
    assert _reload(boot) is old
    assert any("natt: unknown key" in line.text for line in ksr.log if line.level == "err")


def test_helpers_beside_the_routes_are_loaded_again(folder: Path) -> None:
    (folder / "own_helper.py").write_text("NUMBER = 1\n")
    (folder / "own_routes.py").write_text("import own_helper\n" + GOOD.format(number="own_helper.NUMBER"))
    boot = _load()
    assert _number(boot.mod_init()) == 1
    (folder / "own_helper.py").write_text("NUMBER = 2\n")
    assert _number(_reload(boot)) == 2


def test_a_stale_pyc_hides_no_edit_of_the_routes(folder: Path) -> None:
    routes = folder / "own_routes.py"
    routes.write_text(GOOD.format(number=1))
    stale = Path(importlib.util.cache_from_source(str(routes)))
    py_compile.compile(str(routes), str(stale), invalidation_mode=UNCHECKED)
    routes.write_text(GOOD.format(number=2))
    assert stale.exists()
    assert _number(_load().mod_init()) == 2


def test_what_is_installed_is_read_from_its_pyc(folder: Path) -> None:
    (folder / "own_routes.py").write_text("import colorsys\n" + GOOD.format(number=1))
    sys.modules.pop("colorsys", None)
    boot = _load()
    boot.mod_init()
    assert type(sys.modules["colorsys"].__loader__) is SourceFileLoader
    assert type(sys.modules["own_routes"].__loader__) is boot._Compiled


def test_what_is_loaded_before_the_fork_is_left_alone_by_collections(folder: Path) -> None:
    (folder / "own_routes.py").write_text(GOOD.format(number=1))
    boot = _load()
    boot.mod_init()
    assert gc.get_freeze_count() > 1000
    # A reload frees the load before the last: nothing may stay frozen then.
    _reload(boot)
    assert gc.get_freeze_count() == 0


def test_a_mistake_at_the_start_stops_it(folder: Path, ksr: FakeKSR) -> None:
    (folder / "kemi.yaml").write_text("natt: {}\n")
    with pytest.raises(Exception, match="natt: unknown key"):
        _load().mod_init()
    assert any("not started: SettingsError: kemi.yaml:1: natt" in line.text for line in ksr.log)


ROUTERS = [
    ("own_routes", "router: expected module:Class, found 'own_routes'"),
    ("no_such:Routes", "router: expected a module 'no_such' beside the settings file, found none"),
    (
        "own_routes:Nobody",
        "router: expected 'Nobody' in own_routes to be a subclass of kemi.router.Router, found None",
    ),
]


@pytest.mark.parametrize(("router", "message"), ROUTERS, ids=[row[0] for row in ROUTERS])
def test_a_router_that_cannot_be_found_is_named(folder: Path, router: str, message: str) -> None:
    (folder / "own_routes.py").write_text(GOOD.format(number=1))
    (folder / "kemi.yaml").write_text(f"router: {router}\n")
    with pytest.raises(Exception, match=message):
        _load().mod_init()
