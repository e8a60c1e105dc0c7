"""Penalties as the live engines compute them, against the closed form: which tokens count, how often, how far back.

Of every step the log-probabilities are taken before the penalties and after, from two runs that are the same to the
bit, and the one must turn into the other.
"""

import ctypes
import json
import math
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.engines.vllm.environment import NO_COMPILER, OFFLINE
from courselib.engines.vllm.model import find_model
from courselib.sampling import Context, pipeline, softmax

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]

CHILD = Path(__file__).with_name("vllm_rows.py")
VOCABULARY = 49_152
RED = "red red red red red red red blue blue green"
# " red" once, far more than 64 tokens before the end.
FAR = "A red house. " + "one two three four five six seven eight nine ten " * 8 + "A"
ON = {
    "repetition": {"repetition_penalty": 1.3},
    "repetition below one": {"repetition_penalty": 0.8},
    "presence": {"presence_penalty": 1.5},
    "frequency": {"frequency_penalty": 0.7},
    "all three": {"repetition_penalty": 1.15, "presence_penalty": 0.25, "frequency_penalty": 0.5},
    "rewards": {"presence_penalty": -0.5, "frequency_penalty": -0.1},
}
STEPS = 2
VLLM_STEPS = 3


@dataclass(frozen=True)
class Run:
    """What an engine did: the prompt's tokens, those generated, and a row of the vocabulary for each of them."""

    prompt: tuple[int, ...]
    output: tuple[int, ...]
    rows: np.ndarray

    def context(self, step):
        return Context(self.prompt, self.output[:step])


def closed_form(engine, controls, context, logits):
    """Probabilities with nothing but penalties, as the pipeline has them."""
    neutral = Controls(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, **controls)
    return pipeline(engine, neutral, context).run(logits).probabilities


def by_hand(controls, repeated, counted, logits):
    """The same without the course's stages: ``counted`` maps tokens to how often they were there."""
    row = np.array(logits, dtype=float)
    for token in set(repeated):
        factor = controls.get("repetition_penalty", 1.0)
        row[token] = row[token] / factor if row[token] > 0 else row[token] * factor
    for token in set(counted):
        row[token] -= counted.count(token) * controls.get("frequency_penalty", 0.0)
        row[token] -= controls.get("presence_penalty", 0.0)
    return softmax(row)


def sent(controls):
    """Controls under llama.cpp's names."""
    return {("repeat_penalty" if name == "repetition_penalty" else name): value for name, value in controls.items()}


def alike(one, other):
    """Whether two distributions are the same to a hundredth in every logit that can be told."""
    told = (one > 1e-30) & (other > 1e-30)
    return np.abs(np.log(one[told]) - np.log(other[told])).max() < 0.01


def agree(seen, wanted, logs=2e-4):
    """Equal to a millionth; and in logits those too small to show there, to what float32 tells of them."""
    assert np.abs(seen - wanted).max() < 1e-6
    told = (seen > 1e-30) & (wanted > 1e-30)
    assert told.sum() > VOCABULARY / 2
    assert np.abs(np.log(seen[told]) - np.log(wanted[told])).max() < logs


@pytest.fixture(scope="module")
def http():
    with courselib.launch("llama.cpp", context=512) as server:
        server.http.timeout = 60
        yield server.http


def run(http, prompt, *, after, steps=STEPS, **options):
    """What llama-server does: rows of log-probabilities before the penalties, or of probabilities after."""
    # All tokens, though it is much: llama.cpp adds up in float32, and what few tell of the rest is too coarse.
    body = {"prompt": prompt, "n_predict": steps, "n_probs": VOCABULARY, "post_sampling_probs": after, "seed": 11}
    fixed = {"samplers": ["penalties"], "cache_prompt": False, "return_tokens": True}
    answer = http.post("/completion", json={**body, **fixed, **options}).raise_for_status().json()
    rows = np.full((len(answer["tokens"]), VOCABULARY), 0.0 if after else -np.inf)
    for row, step in zip(rows, answer["completion_probabilities"], strict=True):
        for token in step["top_probs" if after else "top_logprobs"]:
            row[token["id"]] = token["prob" if after else "logprob"]
    asked = http.post("/tokenize", json={"content": prompt, "parse_special": True}).json()["tokens"]
    assert len(asked) == answer["tokens_evaluated"]
    return Run(tuple(asked), tuple(answer["tokens"]), rows)


def both(http, prompt, **options):
    before, after = run(http, prompt, after=False, **options), run(http, prompt, after=True, **options)
    assert before.output == after.output
    return before, after


def logits_of(before, after, controls, tokens):
    """Logits from log-probabilities, which are the same but for a number that the server does not tell.

    A repetition penalty depends on it: so it is found from one token, and then all the others must agree.
    """
    penalty = controls.get("repetition_penalty", 1.0)
    if penalty == 1:
        return before
    others = np.setdiff1d(np.argsort(before)[-50:], tokens)
    moved = np.mean(np.log(after[others]) - before[others])
    token = max(set(tokens), key=lambda each: after[each])
    lost = controls.get("presence_penalty", 0) + controls.get("frequency_penalty", 0) * tokens.count(token)
    left = math.log(after[token]) - moved + lost
    # Two numbers would do for this token: one that makes its logit positive, and one that does not.
    rows = [before + (left - factor * before[token]) / (factor - 1) for factor in (1 / penalty, penalty)]
    return min(rows, key=lambda row: np.abs(by_hand(controls, tokens, tokens, row) - after).max())


class TestLlamaServer:
    @pytest.mark.parametrize("name", ON)
    def test_prompt_and_output_count(self, http, name):
        controls = ON[name]
        before, after = both(http, RED, **sent(controls))
        for step in range(STEPS):
            context = before.context(step)
            logits = logits_of(before.rows[step], after.rows[step], controls, context.tokens)
            agree(after.rows[step], closed_form("llama.cpp", controls, context, logits))
            agree(after.rows[step], by_hand(controls, context.tokens, context.tokens, logits))
            assert not alike(after.rows[step], by_hand(controls, context.output, context.output, logits))

    @pytest.mark.parametrize("last_n", [0, 1, 200])
    def test_the_window(self, http, last_n):
        controls = {"presence_penalty": 0.25, "frequency_penalty": 0.5}
        before, after = both(http, FAR, steps=1, repeat_last_n=last_n, **controls)
        (row,), (seen,) = before.rows, after.rows
        window = before.prompt[-last_n:] if last_n else ()
        agree(seen, by_hand(controls, window, window, row))
        assert alike(seen, by_hand(controls, window[1:], window[1:], row)) == (last_n == 0)

    def test_the_window_is_64_unless_told_otherwise(self, http):
        controls = {"presence_penalty": 2.0}
        before, after = both(http, FAR, steps=1, **controls)
        (row,), (seen,) = before.rows, after.rows
        agree(seen, closed_form("llama.cpp", controls, before.context(0), row))
        assert not alike(seen, by_hand(controls, before.prompt, before.prompt, row))

    def test_dry(self, http):
        controls = {"dry_multiplier": 0.8, "dry_base": 1.75, "dry_allowed_length": 2}
        options = {**controls, "samplers": ["dry"], "dry_sequence_breakers": ["\n"]}
        before, after = both(http, "one two three four. one two three four. one two three", **options)
        for step in range(STEPS):
            context = before.context(step)
            agree(after.rows[step], closed_form("llama.cpp", controls, context, before.rows[step]))
        assert not alike(after.rows[0], softmax(before.rows[0]))


@pytest.fixture(scope="module")
def llm(llama_cpp):
    llm = courselib.native(context=512)
    yield llm
    llm.close()


class TestLibrary:
    """llama-cpp-python: logits as its own sampler sees them, looked at within its chain."""

    @pytest.fixture
    def looked(self, monkeypatch):
        """Rows after the penalties: a look put in before the choice."""
        from llama_cpp import _internals, llama_token_data

        rows = []

        def look(candidates):
            size, data = candidates.contents.size, candidates.contents.data
            array = np.ctypeslib.as_array((llama_token_data * size).from_address(ctypes.addressof(data.contents)))
            row = np.full(size, -np.inf)
            row[array["id"]] = array["logit"]
            rows.append(row)

        choose = _internals.LlamaSampler.add_greedy
        monkeypatch.setattr(
            _internals.LlamaSampler, "add_greedy", lambda chain: (chain.add_custom(look), choose(chain))
        )
        return rows

    def run(self, llm, prompt, steps, controls):
        """Rows of logits before the penalties, and the tokens chosen by the public way to generate."""
        from llama_cpp import LogitsProcessorList

        rows = []

        def look(_ids, scores):
            rows.append(np.array(scores, dtype=float))
            return scores

        tokens = llm.tokenize(prompt.encode(), add_bos=False)
        made = llm.generate(tokens, temp=0.0, logits_processor=LogitsProcessorList([look]), **sent(controls))
        output = tuple(next(made) for _step in range(steps))
        return Run(tuple(tokens), output, np.array(rows[:steps]))

    @pytest.mark.parametrize("name", ON)
    def test_only_the_output_counts(self, llm, looked, name):
        controls = ON[name]
        before = self.run(llm, RED, 6, controls)
        assert len(set(before.output)) < 6 or name not in ("rewards", "repetition below one")
        for step in range(6):
            context = before.context(step)
            after = softmax(looked[step])
            agree(after, closed_form("llama_cpp", controls, context, before.rows[step]))
            agree(after, by_hand(controls, context.output, context.output, before.rows[step]))
            assert not alike(after, by_hand(controls, context.tokens, context.tokens, before.rows[step]))

    def test_the_window(self, llm, looked):
        controls = ON["all three"]
        before = self.run(llm, RED, 70, controls)
        window = before.output[:69][-llm.last_n_tokens_size :]
        assert len(window) == 64
        agree(softmax(looked[69]), by_hand(controls, window, window, before.rows[69]))
        assert not alike(
            softmax(looked[69]), by_hand(controls, before.output[:69], before.output[:69], before.rows[69])
        )


@pytest.fixture(scope="module")
def gateway():
    with courselib.launch("tgi-gateway", context=512) as server:
        yield server.http


class TestGateway:
    """TGI's protocol: five tokens' log-probabilities after everything, and penalties that look at the whole context."""

    @pytest.mark.parametrize(("first", "controls"), [
        ("In", {"repetition_penalty": 1.1}),
        ("At", {"frequency_penalty": 0.8}),
        ("From", {"repetition_penalty": 1.05, "frequency_penalty": 0.3}),
    ])  # fmt: skip
    def test_the_whole_prompt_counts(self, http, gateway, first, controls):
        # Prompts that differ from the start: with a part of one in its cache, the engine computes with other roundings.
        prompt = f"{first} Paris. {'one two three four five six seven eight nine ten ' * 11}The capital of France is"
        penalty = {"repetition_penalty": 1.3}
        before, after = both(http, prompt, steps=1, repeat_last_n=512, **sent(penalty))
        logits = logits_of(before.rows[0], after.rows[0], penalty, before.prompt)

        parameters = {"max_new_tokens": 1, "do_sample": True, "details": True, "top_n_tokens": 5, **controls}
        answer = gateway.post("/generate", json={"inputs": prompt, "parameters": parameters}).raise_for_status()
        top = {token["id"]: token["logprob"] for token in answer.json()["details"]["top_tokens"][0]}
        assert len(top) == 5
        told = np.log(closed_form("tgi-gateway", controls, before.context(0), logits))
        assert top == pytest.approx({token: told[token] for token in top}, abs=1e-3)
        near = np.log(closed_form("llama.cpp", controls, before.context(0), logits))
        assert top != pytest.approx({token: near[token] for token in top}, abs=0.02), "64 tokens are not enough"
        assert ("x-gateway-warning" in answer.headers) == ("frequency_penalty" in controls)


@pytest.fixture(scope="module")
def runs(installed, tmp_path_factory):
    python = installed.python
    to = tmp_path_factory.mktemp("rows") / "rows.npz"
    model = find_model("smollm2-135m", python)
    asked = {
        "model": model.argument, "prompt": RED, "steps": VLLM_STEPS, "runs": {"none": {}, **ON}, "to": str(to),
        "vocabulary": VOCABULARY, "forced": " red",
    }  # fmt: skip
    environment = {**os.environ, **OFFLINE, NO_COMPILER: "1"}
    done = subprocess.run(
        [python, CHILD], input=json.dumps(asked), capture_output=True, text=True, env=environment,
        check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = np.load(to)
    told = json.loads(str(rows["told"]))
    return {
        name: Run(
            tuple(run["prompt"]),
            tuple(run["output"]),
            np.array([rows[f"{name} {step}"] for step in range(VLLM_STEPS)]),
        )
        for name, run in told.items()
    }


class TestVllm:
    """vLLM's library in its own environment: runs with penalties beside one without.

    One token is made so likely that all runs draw it and compute the same.
    """

    @pytest.mark.parametrize("name", ON)
    def test_the_prompt_counts_for_repetition_alone(self, runs, name):
        controls, before, after = ON[name], runs["none"], runs[name]
        assert (before.prompt, before.output) == (after.prompt, after.output)
        assert len(set(before.output)) == 1
        for step in range(VLLM_STEPS):
            context = before.context(step)
            seen = softmax(after.rows[step])
            agree(seen, closed_form("vllm", controls, context, before.rows[step]))
            agree(seen, by_hand(controls, context.tokens, context.output, before.rows[step]))
            if set(controls) != {"repetition_penalty"}:
                assert not alike(seen, by_hand(controls, context.tokens, context.tokens, before.rows[step]))
            if "repetition_penalty" in controls:
                assert not alike(seen, by_hand(controls, context.output, context.output, before.rows[step]))
