"""The Docker engine, asked as the user would ask it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class StackError(Exception):
    """The stack cannot start like this. The text says what to change."""


def compose(*words: str, typed: str = "", seconds: float = 180) -> str:
    """What `docker compose` prints, with all profiles at hand. Raises StackError with its own words when it fails."""
    return _output("docker", "compose", "--profile", "*", *words, typed=typed, seconds=seconds)


def has_volume(name: str) -> bool:
    """Is there a volume of this name?"""
    return bool(_output("docker", "volume", "ls", "--quiet", "--filter", f"name=^{name}$").strip())


def published(service: str, port: int, transport: str) -> int:
    """The port of this machine that this stack's own container has now, 0 if it does not run.

    One that ends again and again, for a password that is wrong, holds its port with interruptions.
    """
    shown = "{{.State.Status}} {{json .HostConfig.PortBindings}}"
    for container in compose("ps", "--all", "--quiet", service).split():
        state, _, bindings = _output("docker", "inspect", "--format", shown, container).partition(" ")
        if state in ("running", "restarting"):
            bound = (json.loads(bindings) or {}).get(f"{port}/{transport}")
            return int(bound[0]["HostPort"]) if bound else 0
    return 0


def _output(*command: str, typed: str = "", seconds: float = 30) -> str:
    words = " ".join(command[:3])
    try:
        done = subprocess.run(
            command, input=typed, cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds
        )
    except FileNotFoundError:
        raise StackError("docker: no such command; install Docker with its Compose plugin") from None
    except subprocess.TimeoutExpired:
        raise StackError(f"{words}: no answer within {seconds:g} s") from None
    if done.returncode:
        raise StackError(f"{words}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout
