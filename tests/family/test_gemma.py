"""A second family through all of the course: Gemma 3 270M, a base model that adds BOS and has sliding windows.

All prompts are asked of the engine itself where its answer is compared, and lead on to one token with certainty enough.
"""

import contextlib
from collections import Counter

import numpy as np
import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.models.header import gguf_header
from courselib.observe.draws import draw
from courselib.observe.endings import end_tokens
from courselib.observe.logits import next_token, templated, tokens_of
from courselib.sampling import softmax, total_variation
from tests.sampling import live

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

PROMPT = "The capital of France is Paris. The capital of Italy is"
NEXT = " Rome"
BOS, VOCABULARY, WINDOW = 2, 262_144, 512
SLOTS, SLOT_TOKENS = 32, 128
MESSAGES = [{"role": "user", "content": "Hello"}]
DRAWN = [Controls(temperature=1), Controls(temperature=1.5, top_k=30, top_p=0.9, repetition_penalty=1.3)]
# What four-bit weights and other kernels may make of one distribution.
NEAR = 0.15


@pytest.fixture(scope="module")
def server(gemma):
    with courselib.launch("llama.cpp", model=str(gemma), context=SLOTS * SLOT_TOKENS, parallel=SLOTS) as running:
        yield running


@pytest.fixture(scope="module")
def told(server):
    return next_token(server, PROMPT)


def test_the_file_and_the_server_agree(server, gemma):
    header = gguf_header(gemma)
    assert (header.architecture, header.vocabulary) == ("gemma3", VOCABULARY)
    assert tokens_of(server, PROMPT)[0] == BOS and tokens_of(server, PROMPT).count(BOS) == 1
    assert templated(server, MESSAGES).count(BOS) == 1
    assert len(end_tokens(server)) > 1
    assert server.memory().rss > header.weights_bytes / 2


def test_the_prompt_is_no_near_tie(told):
    second, first = np.sort(np.exp(told.logprobs))[-2:]
    assert told.pieces[int(np.argmax(told.logprobs))] == NEXT.encode() and first - second > 0.3


def test_both_clients(server):
    openai, hub = server.openai(), server.hub()
    one = {"max_tokens": 1, "temperature": 0}
    assert openai.completions.create(model=server.model, prompt=PROMPT, **one).choices[0].text == NEXT
    asked = openai.chat.completions.create(model=server.model, messages=MESSAGES, **one).usage.prompt_tokens
    assert asked == hub.chat_completion(MESSAGES, **one).usage.prompt_tokens == len(templated(server, MESSAGES))


@pytest.mark.parametrize(
    "controls",
    [Controls(temperature=1), Controls(temperature=1.5, top_k=30, top_p=0.9, repetition_penalty=1.3)],
    ids=repr,
)
def test_what_is_drawn_is_what_is_predicted(server, controls):
    told = next_token(server, live.PROMPT)
    counts = sum(draw(server, live.PROMPT, controls, live.DRAWS), Counter())
    result = live.compare(counts, live.predicted("llama.cpp", controls, told))
    assert counts.total() == live.DRAWS and result.agrees, result.verdict


def test_the_gateway(gemma, told):
    with courselib.launch("tgi-gateway", model=str(gemma), max_total_tokens=256) as gateway:
        asked = {"inputs": PROMPT, "parameters": {"max_new_tokens": 1, "details": True, "decoder_input_details": True}}
        answer = gateway.http.post("/generate", json=asked).raise_for_status().json()
        assert answer["generated_text"] == NEXT
        assert gateway.hub().text_generation(PROMPT, max_new_tokens=1, return_full_text=False) == NEXT
        assert next_token(gateway, PROMPT).prompt == told.prompt


def test_the_library(llama_cpp, gemma, told):
    with contextlib.closing(courselib.native(str(gemma), context=256)) as llm:
        ours = next_token(llm, PROMPT)
        assert ours.prompt == told.prompt
        assert total_variation(softmax(ours.logits), softmax(told.logits)) < NEAR


def test_vllm(installed, gemma, told):
    options = {"max_model_len": 256, "kv_cache_memory": 64 << 20, "max_logprobs": -1, "dtype": "float32"}
    with courselib.launch("vllm", model=str(gemma), **options) as running:
        theirs = next_token(running, PROMPT)
        assert theirs.prompt == told.prompt
        assert total_variation(softmax(theirs.logits[:VOCABULARY]), softmax(told.logits)) < NEAR
        answer = running.openai().completions.create(model=running.model, prompt=PROMPT, max_tokens=1, temperature=0)
        assert answer.choices[0].text == NEXT
