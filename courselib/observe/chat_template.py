"""What is to be known of a model's chat template before it is asked to chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from courselib.i18n import _
from courselib.observe.logits import templated, tokens_of

if TYPE_CHECKING:
    from courselib.engines.server import Server

# Engines that write a conversation in ChatML where the model has no template; others refuse it.
FALL_BACK = ("llama.cpp", "tgi-gateway")
MARKER = "<|im_start|>"
HELLO = [{"role": "user", "content": "Hello"}]


def template_remark(server: Server) -> str:
    """A sentence where the model was given a template whose markers it does not know; empty where all is well.

    A base model has no template. What its engine writes instead is then a text that the model has never seen.

    Raises:
        RequestError: the server's answer.
    """
    if server.engine_name not in FALL_BACK:
        return ""
    marker = tokens_of(server, MARKER)
    # Known, it is one token, or two with BOS. What follows it in a conversation may change how its end is cut up.
    if len(marker) <= 2 or templated(server, HELLO)[: len(marker) - 1] != marker[:-1]:
        return ""
    return _(
        "This model has no chat template, so the engine writes the conversation in ChatML, whose markers the model"
        " does not know: it is a base model, which continues a text better than it answers."
    )
