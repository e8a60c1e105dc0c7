"""Servers of models that differ from the bundled one: the same weights, other facts."""

import pytest

import courselib
from courselib.models import resolve
from tests.models.patched_gguf import patched_gguf

# A template that lets a model think first; llama.cpp sees from it what marks the thinking.
THINKING = (
    "{% for m in messages %}<|im_start|>{{m.role}}\n{% if m.reasoning_content %}<think>\n{{m.reasoning_content}}\n"
    "</think>\n\n{% endif %}{{m.content}}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "<think>\n{% endif %}"
)
# As Gemma and Llama 3 have it: BOS before every text, and one token ends a text, another a turn.
TWO_ENDS = {"tokenizer.ggml.add_bos_token": 1, "tokenizer.ggml.eos_token_id": 0}
NO_END = {"tokenizer.ggml.eos_token_id": None, "tokenizer.chat_template": None}


def serve(folder, facts):
    """A server of the bundled model with other facts, whose file goes when it has ended."""
    file = patched_gguf(resolve("smollm2-135m"), folder / "other.gguf", facts)
    with courselib.launch("llama.cpp", model=str(file), context=512) as running:
        yield running
    file.unlink()


@pytest.fixture(scope="module")
def two_ends(tmp_path_factory):
    yield from serve(tmp_path_factory.mktemp("two_ends"), TWO_ENDS)


@pytest.fixture(scope="module")
def no_end(tmp_path_factory):
    yield from serve(tmp_path_factory.mktemp("no_end"), NO_END)


@pytest.fixture(scope="module")
def thinking(tmp_path_factory):
    yield from serve(tmp_path_factory.mktemp("thinking"), {"tokenizer.chat_template": THINKING})
