"""Questions to the Prometheus of a stack."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tests.compose.stack import Stack


def query(stack: Stack, expression: str) -> list[dict[str, Any]]:
    """The answer of Prometheus to one question."""
    url = f"http://127.0.0.1:9090/api/v1/query?query={quote(expression)}"
    answer = json.loads(stack.execute("prometheus", "wget", "--quiet", "--output-document=-", url))
    assert answer["status"] == "success"
    found = answer["data"]["result"]
    assert isinstance(found, list)
    return found
