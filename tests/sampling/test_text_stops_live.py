"""Sixty answers with stop strings, as every engine gives them, against the account of them.

The stop strings are cut out of what the engine says without any, so that each lies where its name says.
"""

import random
from dataclasses import dataclass, replace
from types import SimpleNamespace

import openai
import pytest

import courselib
from courselib.errors import EngineMissing
from courselib.sampling.text_stops import DIALECTS, Ending, Step, account
from tests.controls.live import TEMPLATE

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]

MAX_TOKENS = 8
TURN = "<|im_start|>user\nSay that you can.<|im_end|>\n<|im_start|>assistant\n"
WEEK = "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"
# The model is sure of how these go on, by 0.2 or more in twenty steps: an engine that has some of a prompt in its cache
# computes with other roundings, and where two tokens are nearly as likely may take the other one.
PROMPTS = {
    "English": TEMPLATE.format(f"The days of the week are {WEEK}. What are the days of the week?"),
    # Each space belongs to a token that holds three quarters of a smiley.
    "smileys": "I am happy 😀 " * 5 + "I am happy",
    "Chinese": "天地玄黃，宇宙洪荒。\n" * 6,
    "ends": (TURN + "Yes, I can.<|im_end|>\n") * 3 + TURN,
}


def whole_text(steps):
    """The text of the steps up to the last whole character, and where in it each token ends."""
    data = b"".join(b"" if step.special else step.data for step in steps)
    text, ends, seen = data.decode("utf-8", "ignore"), [], b""
    for step in steps:
        seen += b"" if step.special else step.data
        ends.append(len(seen.decode("utf-8", "ignore")))
    return text, ends


def kinds(steps, chance):
    """Stop strings by where they lie in the answer."""
    text, ends = whole_text(steps[:MAX_TOKENS])
    # A place in the middle, with a token's end in it and characters on both sides.
    end = chance.choice([end for end in ends[:-1] if 2 <= end <= len(text) - 3] or [len(text) // 2])
    place = chance.randrange(1, max(2, len(text) - 3))
    return {
        "at the start": Ending(MAX_TOKENS, (text[:1],)),
        "the first characters": Ending(MAX_TOKENS, (text[:3],)),
        "across tokens": Ending(MAX_TOKENS, (text[end - 1 : end + 1],)),
        "far across tokens": Ending(MAX_TOKENS, (text[max(0, end - 4) : end + 3],)),
        "at a token's end": Ending(MAX_TOKENS, (text[max(0, end - 2) : end],)),
        "somewhere": Ending(MAX_TOKENS, (text[place : place + 2],)),
        "overlapping": Ending(MAX_TOKENS, (text[end - 1 : end + 2], text[end - 2 : end + 1])),
        "one within another": Ending(MAX_TOKENS, (text[place : place + 1], text[place - 1 : place + 3])),
        "two in another order": Ending(MAX_TOKENS, (text[-2:], text[place : place + 1], "nowhere")),
        "at the limit": Ending(MAX_TOKENS, (text[-1:],)),
        "nowhere": Ending(MAX_TOKENS, ("nowhere to be found", "<|im_start|>")),
        "the template's end": Ending(16, ("<|im_end|>",)),
        "only later": Ending(MAX_TOKENS, (text[:1], text[place : place + 2]), min_tokens=3),
        "more than some allow": Ending(MAX_TOKENS, (*"vwxyz",)),
        "an empty one": Ending(MAX_TOKENS, ("", text[:1])),
    }


KINDS = list(kinds([Step(b"some text")] * 5, random.Random(0)))
CASES = [(prompt, kind) for prompt in PROMPTS for kind in KINDS]
assert len(CASES) == 60


@dataclass
class Seen:
    """What an engine gave back; None where it does not tell."""

    word: str
    text: str | None = None
    tokens: int | None = None
    stop: str | None = None


class LlamaServer:
    route = "llama.cpp /completion"

    def __init__(self, server):
        self.http = server.http

    def ask(self, prompt, ending):
        body = {"prompt": prompt, "n_predict": ending.max_tokens, "temperature": 0, "stop": list(ending.stop)}
        # A least number of tokens it does not know, and ignores.
        more = {"ignore_eos": ending.ignore_eos, "min_tokens": ending.min_tokens, "return_tokens": True}
        return self.http.post("/completion", json={**body, **more}).raise_for_status().json()

    def without_stops(self, prompt, ending):
        return self.ask(prompt, replace(ending, stop=()))["tokens"]

    def seen(self, prompt, ending):
        answer = self.ask(prompt, ending)
        stop = answer["stopping_word"] if answer["stop_type"] == "word" else None
        return Seen(answer["stop_type"], answer["content"], answer["tokens_predicted"], stop)


class Gateway:
    route = "TGI /generate"

    def __init__(self, server, llama):
        self.http = server.http
        # The same engine with the same model answers behind it.
        self.without_stops = llama.without_stops

    def seen(self, prompt, ending):
        parameters = {"max_new_tokens": ending.max_tokens, "stop": list(ending.stop), "details": True}
        answer = self.http.post("/generate", json={"inputs": prompt, "parameters": parameters})
        if answer.status_code != 200:
            return Seen(str(answer.status_code))
        body, details = answer.json(), answer.json()["details"]
        # Of a character broken off, the gateway does not know the bytes that had come: llama.cpp holds them back.
        whole = details["tokens"][-1]["text"] != ""
        text = body["generated_text"] if whole else None
        return Seen(details["finish_reason"], text, details["generated_tokens"])


class Library:
    route = "llama_cpp.Llama"

    def __init__(self, llm):
        self.llm = llm

    def tokens(self, prompt):
        return self.llm.tokenize(prompt.encode(), add_bos=False, special=True)

    def without_stops(self, prompt, ending):
        found = []
        for token in self.llm.generate(self.tokens(prompt), temp=0.0):
            found.append(token)
            if token == self.llm.token_eos() or len(found) == ending.max_tokens:
                return found
        raise AssertionError("it never ends by itself")

    def seen(self, prompt, ending):
        answer = self.llm(self.tokens(prompt), max_tokens=ending.max_tokens, temperature=0, stop=list(ending.stop))
        (choice,) = answer["choices"]
        return Seen(choice["finish_reason"], choice["text"], answer["usage"]["completion_tokens"])


class Vllm:
    route = "vLLM completions"

    def __init__(self, server):
        self.client = server.openai()
        self.model = server.model

    def ask(self, prompt, ending):
        extra = {
            "ignore_eos": ending.ignore_eos,
            "min_tokens": ending.min_tokens,
            "include_stop_str_in_output": ending.include_stop,
            "skip_special_tokens": ending.skip_special_tokens,
            "return_token_ids": True,
        }
        answer = self.client.completions.create(
            model=self.model,
            prompt=prompt,
            max_tokens=ending.max_tokens,
            temperature=0,
            stop=list(ending.stop),
            extra_body=extra,
        )
        return answer.choices[0], answer.usage.completion_tokens

    def without_stops(self, prompt, ending):
        choice, _count = self.ask(prompt, replace(ending, stop=()))
        return choice.token_ids

    def seen(self, prompt, ending):
        try:
            choice, count = self.ask(prompt, ending)
        except openai.BadRequestError as error:
            return Seen(str(error.status_code))
        return Seen(choice.finish_reason, choice.text, count, choice.stop_reason)


@pytest.fixture(scope="module")
def llama():
    with courselib.launch("llama.cpp", context=512) as server:
        yield server


@pytest.fixture(scope="module")
def vocabulary(llama):
    """Every token of the model, by number: the engine tells them as what could come next."""
    body = {"prompt": "a", "n_predict": 1, "n_probs": 1 << 20, "temperature": 0}
    answer = llama.http.post("/completion", json=body, timeout=60).json()
    likely = answer["completion_probabilities"][0]["top_logprobs"]
    found = {token["id"]: Step(bytes(token["bytes"])) for token in likely}
    ends = llama.http.post("/tokenize", json={"content": "<|im_end|>", "parse_special": True}).json()["tokens"]
    for token, step in found.items():
        if not step.data:
            spelled = llama.http.post("/detokenize", json={"tokens": [token]}).json()["content"]
            found[token] = Step(spelled.encode(), special=True, ends=[token] == ends)
    assert len(found) == 49_152
    return found


@pytest.fixture(scope="module", params=["llama.cpp", "tgi-gateway", "llama_cpp", "vllm"])
def engine(request, llama):
    """One engine after the other, each started once."""
    if request.param == "llama.cpp":
        yield LlamaServer(llama)
    elif request.param == "tgi-gateway":
        with courselib.launch("tgi-gateway", context=512) as server:
            yield Gateway(server, LlamaServer(llama))
    elif request.param == "llama_cpp":
        try:
            llm = courselib.native(context=512)
        except EngineMissing as error:
            pytest.skip(error.message)
        yield Library(llm)
        llm.close()
    else:
        yield Vllm(request.getfixturevalue("vllm_server"))


@pytest.fixture(scope="module")
def answers(engine, vocabulary):
    """What the engine says without stop strings, a few tokens longer than it may be with some."""
    made = {}

    def make(prompt, ending):
        wanted = Ending(ending.max_tokens + 4, min_tokens=ending.min_tokens, ignore_eos=ending.ignore_eos)
        key = prompt, wanted
        if key not in made:
            tokens = engine.without_stops(PROMPTS[prompt], wanted)
            # Some engines leave out the token that ended it.
            ended = len(tokens) < wanted.max_tokens and not vocabulary[tokens[-1]].ends
            made[key] = [vocabulary[token] for token in [*tokens, *([2] if ended else [])]]
        return made[key]

    return make


def compare(engine, answers, prompt, ending):
    told = account(answers(prompt, ending), ending, engine.route)
    wanted = Seen(DIALECTS[engine.route].word(told.reason), told.text, told.tokens, told.stop)
    seen = engine.seen(PROMPTS[prompt], ending)
    known = SimpleNamespace(**{name: value for name, value in vars(seen).items() if value is not None})
    assert vars(known) == {name: vars(wanted)[name] for name in vars(known)}, ending


@pytest.mark.parametrize(("prompt", "kind"), CASES)
def test_the_account_agrees_with_the_engine(engine, answers, prompt, kind):
    steps = answers(prompt, Ending(MAX_TOKENS))
    ending = kinds(steps, random.Random(f"{prompt} {kind}"))[kind]
    compare(engine, answers, prompt, ending)


# The answer of five tokens, its end, and the line break that follows; the model is not sure of what follows that.
AFTER_END = 7
ONLY_SOME = {
    "the end ignored": (("llama.cpp", "vllm"), "ends", Ending(AFTER_END, ignore_eos=True)),
    "the end ignored, and a stop": (
        ("llama.cpp", "vllm"), "ends", Ending(AFTER_END, ("<|im_end|>", "\n"), ignore_eos=True)
    ),
    "the stop given back": (("vllm",), "English", Ending(12, ("day,",), include_stop=True)),
    "the stop given back, and the rest of its token cut": (
        ("vllm",), "English", Ending(12, ("es",), include_stop=True)
    ),
    "special tokens written": (("vllm",), "ends", Ending(AFTER_END, ignore_eos=True, skip_special_tokens=False)),
    "special tokens written, and one a stop": (
        ("vllm",), "ends", Ending(AFTER_END, ("<|im_end|>",), ignore_eos=True, skip_special_tokens=False)
    ),
    "a least length that moves the end": (("vllm",), "ends", Ending(8, ("nowhere",), min_tokens=6)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "name"),
    [(engine, name) for engine in ("llama.cpp", "vllm") for name, case in ONLY_SOME.items() if engine in case[0]],
    indirect=["engine"],
    scope="module",
)
def test_what_only_some_engines_have(engine, answers, name):
    _engines, prompt, ending = ONLY_SOME[name]
    compare(engine, answers, prompt, ending)
