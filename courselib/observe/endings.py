"""Which tokens end an answer on a live llama.cpp server, and how likely one of them is to come next.

A model may have several: one that ends a text and one that ends a turn, say. llama.cpp b11549 ends at each of a set
that it makes when it loads the model: the ids that the file gives, and tokens by their names, such as ``<|im_end|>``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from courselib.i18n import _
from courselib.observe.logits import ask, tokens_of

if TYPE_CHECKING:
    from courselib.engines.server import Server

# A bias that lifts tokens above all others, and leaves their order and their distances as they are: numbers of this
# size still have four digits after the point in 32 bits.
LIFT = 1_000


def end_tokens(server: Server) -> tuple[int, ...]:
    """Ids of the tokens at which the server ends an answer; none where the model has none.

    Asked for without them, an answer is made with a bias against each, of which the server tells.

    Raises:
        RequestError: the server's answer.
    """
    body = {"prompt": tokens_of(server, "."), "n_predict": 1, "ignore_eos": True}
    biases = ask(server, "/completion", body)["generation_settings"].get("logit_bias", [])
    return tuple(entry["token"] for entry in biases if entry["bias"] is None)  # minus infinity, in JSON


def end_probability(server: Server, prompt: list[int], ends: tuple[int, ...]) -> float:
    """The probability that one of ``ends`` comes after the prompt, before any control.

    Raises:
        RequestError: the server's answer.
    """
    if not ends:
        return 0.0
    body = {
        "prompt": prompt, "n_predict": 1, "cache_prompt": True, "logit_bias": [[token, LIFT] for token in ends],
    }  # fmt: skip
    # The log-probability told is that without the bias, of the token chosen with it: the likeliest of the ends.
    likeliest = ask(server, "/completion", {**body, "temperature": 0, "n_probs": 1})["completion_probabilities"][0]
    alone = math.exp(likeliest["logprob"])
    if len(ends) == 1:
        return alone
    among = {"n_probs": len(ends), "post_sampling_probs": True, "samplers": ["top_k"], "top_k": len(ends)}
    shares = ask(server, "/completion", {**body, **among})["completion_probabilities"][0]["top_probs"]
    return float(alone / next(entry["prob"] for entry in shares if entry["id"] == likeliest["id"]))


def spelled(server: Server, token: int) -> str:
    """How a token is written; a special one has no text of its own.

    Raises:
        RequestError: the server's answer.
    """
    return str(ask(server, "/detokenize", {"tokens": [token]})["content"])


def written_as(server: Server, ends: tuple[int, ...]) -> str:
    """The tokens that end an answer, for a person."""
    return ", ".join(spelled(server, token) for token in ends) or _("none: only lengths and stop strings end an answer")
