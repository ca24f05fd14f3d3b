"""K510: the lines of a kamailio.cfg that the installed Kamailio refuses, asked with ``kamailio -c``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from kemi.check.cfg import Cfg, ask_kamailio
from kemi.check.finding import Finding
from kemi.check.project import Project

_SAID = re.compile(r"(?:ERROR|CRITICAL): .*?\]: (?:\w+\(\): )?(.*)")
_PLACED = re.compile(
    r"parse error in config file (?P<file>.+?), (?:from )?line (?P<line>\d+), column (?P<column>\d+)[^:]*:"
    r" ?(?P<text>.*)"
)
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'|(?:#|//).*')
_NAME_OF_DEFINE = re.compile(r"\b[A-Z][A-Z0-9_]+\b")
_NOT_LOADED = "failed to load module"
# It takes hundredths of them, but for a machine whose DNS is silent: then it has read the file already.
_SECONDS = 1.0

Place = tuple[str, int, int]


def check(project: Project, cfg: Cfg) -> Iterator[Finding]:
    """The first module that is not on this machine, and the first line that is wrong: others may follow from it."""
    run = ask_kamailio(cfg.path, project.defines, "-c", _SECONDS)
    said = _by_place(run.stderr.decode("utf-8", "replace")) if run is not None and run.returncode else {}
    missing = [place for place, texts in said.items() if _NOT_LOADED in texts]
    for place in missing[:1]:
        more = f", nor without {len(missing) - 1} more" if missing[1:] else ""
        why = f"this Kamailio does not start without it{more}; that of the server may have it"
        fix = "correct the name, or install the package that has the module"
        yield _finding(cfg, place, said[place], why, fix, sure=False)
    # Without a module its parameters, functions and variables are unknown, too: only the grammar stays the same.
    wrong = [place for place, texts in said.items() if not missing or texts[:1] == ["syntax error"]]
    for place in wrong[:1]:
        why = "Kamailio does not start with it"
        fix = "correct it, or what stands before it; a define of the start has to be given with -A"
        sure = not missing and (bool(project.defines) or not _may_define(place))
        yield _finding(cfg, place, said[place], why, fix, sure=sure)


def _by_place(log: str) -> dict[Place, list[str]]:
    """What Kamailio says of each place, with the explanations that it gives before."""
    found: dict[Place, list[str]] = {}
    before: list[str] = []
    for line in log.splitlines():
        said = _SAID.search(line)
        placed = _PLACED.fullmatch(said[1]) if said else None
        if placed is not None:
            place = (placed["file"], int(placed["line"]), max(int(placed["column"]), 1))
            found[place] = [*found.get(place, []), *before, *filter(None, [placed["text"]])]
            before = []
        elif said is not None:
            before.append(said[1])
    return found


def _finding(cfg: Cfg, place: Place, texts: list[str], why: str, fix: str, *, sure: bool) -> Finding:
    file, line, column = place
    name = cfg.name if file == str(cfg.path) else file
    what = f"Kamailio refuses the line: {'; '.join(dict.fromkeys(texts))}"
    return Finding(name, line, column, "K510", what, why, fix, "error" if sure else "warning")


def _may_define(place: Place) -> bool:
    """Is there a word on the line that another start could define?"""
    file, number, _ = place
    lines = (
        Path(file).read_text(encoding="utf-8", errors="replace").split("\n") if Path(file).is_file() else []
    )
    return any(_NAME_OF_DEFINE.search(_QUOTED.sub("", line)) for line in lines[number - 1 : number])
