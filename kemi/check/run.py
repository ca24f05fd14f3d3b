"""Runs all checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from kemi.check import (
    attributes,
    blocking,
    callbacks,
    configuration,
    functions,
    imports,
    names,
    pseudovariables,
    refusals,
    returns,
    router,
    settings,
    startup,
    target,
    truth,
)
from kemi.check.finding import Finding
from kemi.check.project import Project, load
from kemi.check.source import ignored_codes
from kemi.check.target import Target

CHECKS = (
    imports.check,
    names.check,
    settings.check,
    callbacks.check,
    router.check,
    attributes.check,
    functions.check,
    truth.check,
    returns.check,
    configuration.check,
    refusals.check,
    pseudovariables.check,
    blocking.check,
    startup.check,
)


def check(
    paths: Iterable[Path | str], *, kamailio: str | None = None, defines: Sequence[str] = ()
) -> list[Finding]:
    """What is wrong in Python routes, settings and kamailio.cfg, by file, line and code; empty if nothing is.

    `paths` are .py, .yaml and .cfg files or folders with them; nothing in them is run. `kamailio` is the version to
    check for ("5.6"), by default the installed one; `defines` are those of ``kamailio -A``.

    Raises ValueError for an unknown version, NothingToCheckError for a path with nothing to check.
    """
    version = Target.parse(kamailio) if kamailio else target.default()
    project = load([Path(path) for path in paths], version, defines)
    found = {finding for run in CHECKS for finding in run(project)} | set(project.findings)
    return sorted(finding for finding in found if not _is_ignored(project, finding))


def _is_ignored(project: Project, finding: Finding) -> bool:
    lines: list[str] = []
    for source in project.sources.values():
        if source.name == finding.file:
            lines = source.lines
    if not lines and Path(finding.file).is_file():
        lines = Path(finding.file).read_text(encoding="utf-8", errors="replace").split("\n")
    return finding.line <= len(lines) and finding.code in ignored_codes(lines[finding.line - 1])
