"""Network set-up needs root's rights; nothing after it does."""

from __future__ import annotations

import os
import subprocess

_NOBODY = 65534


def run(*words: str, text: str = "") -> str:
    """What a command prints. Raises RuntimeError with what it complains about."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=10)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def drop() -> None:
    """Be nobody from now on, for good."""
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
