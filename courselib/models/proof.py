"""Whether a directory made from a GGUF is the same model as the GGUF.

A conversion may go wrong without a word: a tokenizer that leaves BOS out, a norm that is stored in another manner. The
directory then loads, and writes nonsense. So transformers and llama.cpp are given the same texts: both must cut them
into the same tokens, and agree on what comes next but for what the formats explain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from courselib.errors import ModelError
from courselib.i18n import _

TEXTS = (
    "The capital of France is",
    "Once upon a time, there was a little girl who lived with her grandmother in a small house near the forest, and",
    "def add(a, b):\n    return",
    "法國的首都是",
    "1, 2, 3, 4, 5, 6,",
)
# Total variation between the two. llama.cpp rounds activations to a few bits: SmolLM2-135M in Q4_1 was 0.001 to 0.058
# from its own weights in float32, 0.002 to 0.143 in bfloat16 (measured, five prompts); a model without its BOS, 0.70
# and more.
MOST_DISTANCE = 0.2


@dataclass(frozen=True)
class Proof:
    """What the comparison gave for one text.

    Args:
        text: the text.
        same_tokens: whether both cut it into the same tokens.
        distance: total variation of the two next-token distributions: 0, the same; 1, nothing in common.
    """

    text: str
    same_tokens: bool
    distance: float

    @staticmethod
    def read(entries: list[dict[str, Any]]) -> list[Proof]:
        """As ``convert.py`` writes them."""
        return [Proof(entry["text"], entry["same_tokens"], entry["distance"]) for entry in entries]


def check(proofs: list[Proof], name: str) -> None:
    """Refuse a directory that is another model.

    Args:
        proofs: one for each text.
        name: the GGUF's name, for people.

    Raises:
        ModelError: the tokens differ, or the distributions by more than the formats explain.
    """
    way_on = _(" Use llama.cpp for this file, or give vLLM the model's own directory from the hub.")
    worst = max(proofs, key=lambda proof: math.inf if math.isnan(proof.distance) else proof.distance)
    numbers = {"file": name, "distance": worst.distance, "most": MOST_DISTANCE}
    if other := [proof for proof in proofs if not proof.same_tokens]:
        text = _(
            "transformers makes another model of {file}: it cuts {text!r} into other tokens than llama.cpp does (and"
            " their next tokens differ by {distance:.2f}, where 1 is nothing in common)."
        )
        raise ModelError(text.format(text=other[0].text, **numbers) + way_on)
    if not worst.distance <= MOST_DISTANCE:  # a NaN, too
        text = _(
            "transformers makes another model of {file}: after {text!r} its next tokens differ by {distance:.2f} from"
            " llama.cpp's, where {most} is explained by the formats and 1 is nothing in common."
        )
        raise ModelError(text.format(text=worst.text, **numbers) + way_on)
