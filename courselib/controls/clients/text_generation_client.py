"""TGI's own, older client, ``text_generation`` 0.7.0.

It has names and a default length of its own, refuses frequency penalties that are not positive, and wants a
huggingface_hub older than 1.0, so it needs an environment of its own.
"""

from __future__ import annotations

from typing import Any

from courselib.controls.clients.python_text import assign, call, environment
from courselib.controls.route import Plan
from courselib.engines.endpoint import Endpoint
from courselib.i18n import _

NAMES = {"stop": "stop_sequences"}
# It always asks for details, and gives up after ten seconds unless told otherwise.
ITS_OWN = {"details"}
TIMEOUT_S = 60


def takes(plan: Plan) -> bool:
    """Whether this client lets the call pass."""
    return bool(plan.arguments.get("frequency_penalty", 1) > 0)


def program(plan: Plan, prompt: Any, endpoint: Endpoint) -> str:
    """The call by ``text_generation.Client``."""
    headers = {"headers": {"Authorization": f"Bearer {endpoint.key}"}} if endpoint.key else {}
    named = {NAMES.get(name, name): value for name, value in plan.arguments.items() if name not in ITS_OWN}
    lines = [] if "max_new_tokens" in named else [_("# This client makes 20 tokens where no number is named.")]
    lines += [*environment(endpoint.environment), "from text_generation import Client", ""]
    lines += assign("client", call("Client", [endpoint.url], {**headers, "timeout": TIMEOUT_S}))
    lines += assign("answer", call("client.generate", [prompt], named))
    lines += ["print(answer.generated_text)"]
    if "details" in plan.arguments:
        lines += ["for token in answer.details.tokens:", "    print(token.text, token.logprob)"]
    return "\n".join(lines) + "\n"
