"""curl, which is what any other program sends, too."""

from __future__ import annotations

import json
import shlex
from typing import Any

from courselib.controls.clients.openai_client import streams
from courselib.controls.route import Plan
from courselib.engines.endpoint import Endpoint


def program(plan: Plan, prompt: Any, endpoint: Endpoint) -> str:
    """The call as a command for a shell."""
    stream = streams(plan) and not plan.route.nest
    body = {**plan.route.body(plan, prompt, endpoint.model), **({"stream": True} if stream else {})}
    straight = " --noproxy '*'" if endpoint.environment else ""
    lines = [
        f"curl {'--no-buffer' if stream else '--silent'}{straight} {shlex.quote(endpoint.url + plan.route.path)}",
        *([f"-H {shlex.quote(f'Authorization: Bearer {endpoint.key}')}"] if endpoint.key else []),
        "-H 'Content-Type: application/json'",
        f"-d {shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))}",
    ]
    return " \\\n  ".join(lines) + "\n"
