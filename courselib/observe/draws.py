"""Tokens that a live engine draws after a prompt: one each, from the same distribution, as many as wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from courselib.controls.controls import Controls
from courselib.controls.route import Route
from courselib.controls.routes import ROUTES
from courselib.engines.server import Server
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.observe.logits import ask, library_tokens, tokens_of

if TYPE_CHECKING:
    from llama_cpp import Llama

# As many as vLLM computes at once by default; more in one request would only come later, all together.
VLLM_MOST = 256
# TGI draws by chance where one of these is sent.
CHANCE = {"do_sample", "temperature", "top_k", "top_p", "typical_p"}
# llama.cpp's seed that stands for chance.
BY_CHANCE = 2**32 - 1


def draw(engine: Server | Llama, prompt: str, controls: Controls, n: int, **more: Any) -> Iterator[Counter[int]]:
    """Draw the next token ``n`` times; gives counts by token id as they come, which are to be added up.

    Args:
        engine: a server, or an open ``llama_cpp.Llama``.
        prompt: text.
        controls: what is set; the rest takes the engine's defaults. Seed, length, and number are not its.
        n: how many tokens.
        more: what else to send to llama.cpp's ``/completion``, such as ``samplers``.

    Raises:
        SettingsError: ``n`` is below 1.
        RequestError: the engine's answer.
    """
    if n < 1:
        raise SettingsError(_("n is {n}; draw at least one token.").format(n=n))
    single = controls.with_(seed=None, max_tokens=1, n=None, logprobs=None, stop=None)
    if not isinstance(engine, Server):
        return _from_library(engine, prompt, single, n)
    if engine.engine_name == "llama.cpp":
        return _from_llama_cpp(engine, prompt, single, n, more)
    if engine.engine_name == "vllm":
        return _from_vllm(engine, prompt, single, n)
    return _from_tgi(engine, prompt, single, n)


def _sizes(n: int, most: int) -> Iterator[int]:
    while n > 0:
        yield min(n, most)
        n -= most


def _arguments(route: Route, controls: Controls) -> dict[str, Any]:
    return dict(route.plan(controls).arguments)


def _from_llama_cpp(
    server: Server, prompt: str, controls: Controls, n: int, more: Mapping[str, Any]
) -> Iterator[Counter[int]]:
    """As many at once as there are slots: the prompt is computed once and shared."""
    arguments = _arguments(ROUTES["llama.cpp /completion"], controls)
    tokens = tokens_of(server, prompt)
    slots = ask(server, "/props")["total_slots"]
    for size in _sizes(n, slots):
        body = {**arguments, "prompt": tokens, "n_cmpl": size, "return_tokens": True, "cache_prompt": True, **more}
        answers = ask(server, "/completion", body)
        yield Counter(answer["tokens"][0] for answer in (answers if isinstance(answers, list) else [answers]))


def _from_vllm(server: Server, prompt: str, controls: Controls, n: int) -> Iterator[Counter[int]]:
    arguments = _arguments(ROUTES["vLLM completions"], controls)
    tokens = tokens_of(server, prompt)
    greedy = controls.temperature == 0
    for size in _sizes(n, 1 if greedy else VLLM_MOST):
        body = {**arguments, "model": server.model, "prompt": tokens, "n": size, "return_token_ids": True}
        choices = ask(server, "/v1/completions", body)["choices"]
        yield Counter(choice["token_ids"][0] for choice in choices)


def _from_tgi(server: Server, prompt: str, controls: Controls, n: int) -> Iterator[Counter[int]]:
    """The candidates of ``best_of`` are draws, each and all; greedily there is only one."""
    arguments = _arguments(ROUTES["TGI /generate"], controls)
    by_chance = CHANCE & arguments.keys()
    most = ask(server, "/info")["max_best_of"] if by_chance else 1
    for size in _sizes(n, most):
        parameters = {**arguments, "details": True, **({"best_of": size} if size > 1 else {})}
        details = ask(server, "/generate", {"inputs": prompt, "parameters": parameters})["details"]
        answers = [details, *details.get("best_of_sequences", [])]
        yield Counter(answer["tokens"][0]["id"] for answer in answers)


def _from_library(llm: Llama, prompt: str, controls: Controls, n: int) -> Iterator[Counter[int]]:
    """The prompt is computed once; then the library's sampler is asked again and again for its next token."""
    names = {"temperature": "temp"}
    arguments = _arguments(ROUTES["llama_cpp.Llama"], controls)
    biases = arguments.pop("logit_bias", None)
    arguments.pop("max_tokens")
    sampling = {names.get(name, name): value for name, value in arguments.items()}
    processors = _bias(biases) if biases else None
    llm.reset()
    llm.eval(library_tokens(llm, prompt))
    # Its sampler of the last answer would count the draws as if they were one text, and a fixed seed repeat one draw.
    llm._sampler = None
    seed, llm._seed = llm._seed, BY_CHANCE
    try:
        for _number in range(n):
            yield Counter([int(llm.sample(**sampling, logits_processor=processors))])
    finally:
        llm._seed = seed


def _bias(biases: Mapping[int, float]) -> Any:
    """What ``create_completion`` makes of ``logit_bias``."""
    from llama_cpp import LogitsProcessorList

    def add(_tokens: Any, scores: Any) -> Any:
        scores = scores.copy()
        for token, bias in biases.items():
            scores[token] += bias
        return scores

    return LogitsProcessorList([add])
