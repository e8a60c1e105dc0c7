"""llama.cpp as a library: the same model, the same logits as the server."""

import math

import pytest

import courselib
from courselib.errors import ModelNotFound

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("llama_cpp")]

PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def llm(llama_cpp):
    opened = courselib.native(context=512)
    yield opened
    opened.close()


def test_the_next_token_is_as_likely_as_the_server_says(llm):
    with courselib.launch("llama.cpp", context=512) as server:
        reply = server.http.post("/completion", json={"prompt": PROMPT, "n_predict": 1, "n_probs": 5, "temperature": 0})
    theirs = reply.json()["completion_probabilities"][0]["top_logprobs"]
    llm.reset()
    llm.eval(llm.tokenize(PROMPT.encode(), add_bos=False, special=True))
    logits = llm._ctx.get_logits_ith(-1)[: llm.n_vocab()]
    highest = max(logits)
    total = highest + math.log(sum(math.exp(value - highest) for value in logits))
    # Two builds of llama.cpp differ by up to 0.15 nats on the likeliest tokens (measured).
    for entry in theirs:
        assert logits[entry["id"]] - total == pytest.approx(entry["logprob"], abs=0.5)
    assert logits[theirs[0]["id"]] - total == pytest.approx(theirs[0]["logprob"], abs=0.15)


def test_a_prompt_takes_no_more_threads_than_an_answer(llm):
    assert llm.n_threads_batch == llm.n_threads


def test_stops_at_the_end_of_turn(llm):
    prompt = "<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n"
    reply = llm(prompt, max_tokens=60, temperature=0, stop=["<|im_end|>"])
    assert "<|im_end|>" not in reply["choices"][0]["text"]


def test_unknown_model():
    with pytest.raises(ModelNotFound):
        courselib.native("smollm3")
