"""The fixture `lab` in a user's own project: the user's routes among real NATs, or a plain word why not."""

from __future__ import annotations

import pytest

from tests import documents

pytest_plugins = ["pytester"]


def test_the_examples_of_the_document_pass(pytester: pytest.Pytester) -> None:
    documents.write("testing.md", pytester.path)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "tests/test_lab.py")
    result.assert_outcomes(passed=1)
    assert not list((pytester.path / "runs" / "tests").iterdir())


MISSING = {
    "root": (
        "os.geteuid = lambda: 1000",
        "the laboratory makes network namespaces and must run as root: try sudo",
    ),
    "program": (
        "shutil.which = lambda program, **_: program != 'baresip'",
        "the laboratory needs baresip; on Debian: apt install baresip-core",
    ),
    "package": (
        "sys.modules['numpy'] = None",
        "the laboratory needs the Python package numpy: pip install 'kemi[[]lab]'",
    ),
}


def test_the_name_of_the_lab_says_what_it_needs(pytester: pytest.Pytester) -> None:
    path = pytester.makepyfile("import sys\nsys.modules['numpy'] = None\nfrom kemi.lab import Lab\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", str(path))
    result.stdout.fnmatch_lines(["*kemi.lab.Lab: needs the Python package numpy: pip install 'kemi[[]lab]'"])


@pytest.mark.parametrize("label", MISSING)
def test_what_is_missing_fails_the_test_with_the_remedy(pytester: pytest.Pytester, label: str) -> None:
    code, text = MISSING[label]
    path = pytester.makepyfile(f"import os, shutil, sys\n{code}\n\ndef test_calls(lab):\n    pass\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", str(path))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR at setup of test_calls*", text], consecutive=True)
