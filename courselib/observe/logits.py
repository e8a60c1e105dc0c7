"""The model's own distribution of the next token, before any stage, from a live engine.

| engine | what it tells | asked how |
|---|---|---|
| llama.cpp's server | every token's log-probability; the logits' common offset by experiment | ``n_probs`` of ``/completion`` |
| llama_cpp.Llama | every logit | the context's own row |
| vLLM | every token's log-probability, or logit with ``logprobs_mode="raw_logits"`` | ``logprobs=-1``, started with ``max_logprobs=-1`` |
| TGI and the gateway | the likeliest five | ``top_n_tokens`` of a greedy request |
"""  # noqa: E501 - a table

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from courselib.engines.connection import Connection
from courselib.engines.refusals import refusal
from courselib.engines.server import Server
from courselib.errors import PromptTooLong, RequestRefused, SettingsError, Unreachable
from courselib.i18n import _
from courselib.sampling.candidates import LogProbabilities

if TYPE_CHECKING:
    import httpx
    from llama_cpp import Llama

# Keeps what breaks a request off, to call it from another thread.
BreaksOff: TypeAlias = Callable[[Callable[[], None]], None]
# TGI's own limit (``--max-top-n-tokens``).
TGI_TOP = 5
# What log-probabilities of a whole vocabulary, told as float32, may miss 1 by.
NORMALISED = 1e-2
# A whole vocabulary takes half a second to write, more on a busy machine.
TIMEOUT_S = 120.0
# As many of the likeliest as there are tokens: llama.cpp tells as many as it has.
WHOLE_VOCABULARY = 1 << 20
# A bias that makes any token the likeliest.
FORCE = 10_000
# Of a server: the tokens of a full stop and of a comma, and each token's bytes. A walk asks for thousands of rows.
_marks: weakref.WeakKeyDictionary[Server, tuple[int, ...]] = weakref.WeakKeyDictionary()
_pieces: weakref.WeakKeyDictionary[Server, tuple[bytes, ...]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class NextToken:
    """What an engine told of the next token.

    Args:
        prompt: ids of the prompt's tokens.
        logprobs: natural logarithm of each token's probability, shape (vocabulary,); -inf where it was not told.
        offset: what must be added to make them logits, which only a repetition penalty asks for; None where the engine
            does not tell.
        pieces: each token's bytes; empty where they were not told.
    """

    prompt: tuple[int, ...]
    logprobs: NDArray[np.float64]
    offset: float | None = None
    pieces: tuple[bytes, ...] = ()

    @property
    def logits(self) -> NDArray[np.float64]:
        """For ``courselib.sampling``: raw logits, or ``LogProbabilities`` where ``offset`` is None."""
        return LogProbabilities.of(self.logprobs) if self.offset is None else self.logprobs + self.offset

    @property
    def remainder(self) -> float:
        """The probability of all tokens that were not told; 0 if all were."""
        told = np.isfinite(self.logprobs)
        return 0.0 if told.all() else max(0.0, 1.0 - float(np.exp(self.logprobs[told]).sum()))


def next_token(engine: Server | Llama, prompt: str | tuple[int, ...]) -> NextToken:
    """Ask a live engine for the distribution of the token after ``prompt``.

    Args:
        engine: a server, or an open ``llama_cpp.Llama``, whose context is then at the prompt's end.
        prompt: text, special tokens in it recognised; or ids of tokens, which TGI does not take.

    Raises:
        SettingsError: the prompt is empty, or vLLM was started without ``max_logprobs=-1``.
        PromptTooLong, RequestRefused, Unreachable: the engine's answer.
    """
    if not prompt:
        raise SettingsError(_("The prompt is empty; write something for the model to go on from."))
    if not isinstance(engine, Server):
        return _from_library(engine, prompt)
    if engine.engine_name == "llama.cpp":
        return _from_llama_cpp(engine, prompt)
    if engine.engine_name == "vllm":
        return _from_vllm(engine, prompt)
    return _from_tgi(engine, prompt)


def pieces_of(server: Server) -> tuple[bytes, ...]:
    """Every token's bytes, of a llama.cpp server, which is asked for them once; raises as ``next_token``."""
    return _pieces.get(server) or next_token(server, ".").pieces


def tokens_of(server: Server, prompt: str | tuple[int, ...], *, special: bool = True) -> tuple[int, ...]:
    """Ids of a prompt's tokens as the server itself makes them for completions; ids are given back as they are.

    Args:
        server: whose model's tokens.
        prompt: text, special tokens in it recognised; or ids.
        special: whether the model's own tokens are added, such as BOS before the first; TGI always adds them.

    Raises:
        RequestRefused, Unreachable: the server's answer.
    """
    if not isinstance(prompt, str):
        return prompt
    if server.engine_name == "llama.cpp":
        asked = {"content": prompt, "add_special": special, "parse_special": True}
        return tuple(ask(server, "/tokenize", asked)["tokens"])
    if server.engine_name == "vllm":
        body = {"model": server.model, "prompt": prompt, "add_special_tokens": special}
        return tuple(ask(server, "/tokenize", body)["tokens"])
    return tuple(token["id"] for token in ask(server, "/tokenize", {"inputs": prompt}))


def templated(server: Server, messages: list[dict[str, str]]) -> tuple[int, ...]:
    """Ids of a conversation's tokens as the server's chat template writes it, up to where the answer begins.

    Ids, since a text that begins with BOS would get a second one where it is made tokens.

    Raises:
        RequestRefused, Unreachable: the server's answer.
    """
    if server.engine_name == "llama.cpp":
        # It has taken off a BOS that its tokenizer adds.
        return tokens_of(server, str(ask(server, "/apply-template", {"messages": messages})["prompt"]))
    if server.engine_name == "vllm":
        return tuple(ask(server, "/tokenize", {"model": server.model, "messages": messages})["tokens"])
    return tuple(token["id"] for token in ask(server, "/chat_tokenize", {"messages": messages})["tokenize_response"])


def ask(server: Server, path: str, body: dict[str, Any] | None = None, *, breaks_off: BreaksOff | None = None) -> Any:
    """POST a body to a server, or GET where there is none; gives the answer's JSON.

    Args:
        server: who is asked.
        path: the route.
        body: what is sent.
        breaks_off: is given, before the request, what breaks it off from another thread; it then ends as Unreachable.

    Raises:
        PromptTooLong, RequestRefused: it says no.
        Unreachable: nobody answers; EngineDied if it was started here and has ended.
    """
    import httpx

    # llama.cpp's router has several models, and must be told which one is meant.
    named = {"model": server.model} if server.engine_name == "llama.cpp" else {}
    try:
        with _client(server, breaks_off) as http:
            if body is None:
                answer = http.get(path, params=named, timeout=TIMEOUT_S)
            else:
                answer = http.post(path, json={**named, **body}, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        server.check()
        raise Unreachable(
            _("The server at {url} broke off; ask again.").format(url=server.url), details=str(error)
        ) from None
    if answer.status_code == 200:
        return answer.json()
    server.check()
    raise refusal(answer.status_code, _json(answer), f"{answer.status_code} {answer.reason_phrase}", answer.text)


@contextlib.contextmanager
def _client(server: Server, breaks_off: BreaksOff | None) -> Iterator[httpx.Client]:
    """The server's own client, or one of its own for a request that can be broken off."""
    if breaks_off is None:
        yield server.http
        return
    connection = Connection()
    breaks_off(connection.close)
    with server.new_client(TIMEOUT_S) as http:
        http.event_hooks = {"request": [connection.watch]}
        yield http


def _json(answer: httpx.Response) -> Any:
    """What an answer holds; ``None`` where that is no JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def library_tokens(llm: Llama, prompt: str) -> list[int]:
    """Ids of a prompt's tokens as the library makes them for completions, and as llama.cpp's server does.

    ``add_bos`` adds a BOS only where the model wants one (llama-cpp-python 0.3.36, llama_tokenize's add_special).
    """
    return list(llm.tokenize(prompt.encode(), add_bos=True, special=True))


def _from_library(llm: Llama, prompt: str | tuple[int, ...]) -> NextToken:
    tokens = library_tokens(llm, prompt) if isinstance(prompt, str) else list(prompt)
    if len(tokens) >= llm.n_ctx():
        raise PromptTooLong(
            _("The prompt has {n} tokens, but the context holds only {context}; shorten the prompt.").format(
                n=len(tokens), context=llm.n_ctx()
            )
        )
    llm.reset()
    llm.eval(tokens)
    # A name with an underscore; the public one, ``scores``, holds all positions' logits and 1.6 GB at 8192 tokens.
    logits = np.array(llm._ctx.get_logits_ith(-1)[: llm.n_vocab()], dtype=np.float64)
    offset = _log_sum_exp(logits)
    return NextToken(tuple(tokens), logits - offset, offset)


def _from_llama_cpp(server: Server, prompt: str | tuple[int, ...]) -> NextToken:
    tokens = tokens_of(server, prompt)
    # A token that ends within a character is held back, with all that is told of it: one that does not is forced, by a
    # bias of which these log-probabilities know nothing.
    whole = next(token for token in _marks_of(server) if token != tokens[-1])
    body = {
        "prompt": tokens, "n_predict": 1, "temperature": 0, "n_probs": WHOLE_VOCABULARY, "cache_prompt": True,
        "logit_bias": [[whole, FORCE]],
    }  # fmt: skip
    entries = ask(server, "/completion", body)["completion_probabilities"][0]["top_logprobs"]
    logprobs = np.full(len(entries), -np.inf)
    pieces = [b""] * len(entries)
    for entry in entries:
        logprobs[entry["id"]] = entry["logprob"]
        pieces[entry["id"]] = bytes(entry["bytes"])
    return NextToken(tokens, logprobs, _offset(server, tokens, whole, logprobs), _kept_once(server, tuple(pieces)))


def _marks_of(server: Server) -> tuple[int, ...]:
    found = _marks.get(server)
    if found is None:
        found = _marks[server] = tuple(_one_token(server, text) for text in (".", ","))
    return found


def _kept_once(server: Server, pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The pieces that were told before where they are the same, so that many rows share one vocabulary."""
    if _pieces.get(server) != pieces:
        _pieces[server] = pieces
    return _pieces[server]


def _one_token(server: Server, text: str) -> int:
    """The last of a text's tokens, without what the model adds."""
    return tokens_of(server, text, special=False)[-1]


def _offset(server: Server, tokens: tuple[int, ...], whole: int, logprobs: NDArray[np.float64]) -> float:
    """What to add to log-probabilities to get llama.cpp's logits, found by what its repetition penalty does.

    The token ``whole`` is lifted by a bias to one above the likeliest, which is the logit L, and the prompt's last
    token to L + 1; these two are left alone, and the latter is penalised by r. The logarithm of their ratio is now
    (L + 1)/r - L where L + 1 is positive, else (L + 1) r - L. One r leaves two answers, a second tells them apart.
    """
    last = tokens[-1]
    first = float(logprobs.max()) + 1
    bias = [[whole, first - float(logprobs[whole])], [last, first + 1 - float(logprobs[last])]]

    def ratio(penalty: float) -> float:
        body = {
            "prompt": tokens, "n_predict": 1, "cache_prompt": True, "n_probs": 2, "post_sampling_probs": True,
            "samplers": ["top_k", "penalties"], "top_k": 2, "logit_bias": bias, "repeat_last_n": 1,
            "repeat_penalty": penalty, "presence_penalty": 0, "frequency_penalty": 0,
        }  # fmt: skip
        two = ask(server, "/completion", body)["completion_probabilities"][0]["top_probs"]
        shares = {entry["id"]: entry["prob"] for entry in two}
        return math.log(shares[last] / shares[whole])

    return level(ratio(2.0), ratio(4.0)) - first


def level(at_two: float, at_four: float) -> float:
    """The logit L of a token, from what penalties of 2 and of 4 make of another whose logit is L + 1.

    The logarithm of their ratio is (L + 1)/r - L where L + 1 is positive, else (L + 1) r - L. One penalty r leaves two
    answers, a second tells them apart.

    Args:
        at_two: the logarithm of the ratio, the penalised token's probability above, with r = 2.
        at_four: the same with r = 4.
    """
    positive, negative = 1 - 2 * at_two, at_two - 2
    misses = {positive: abs(0.25 - 0.75 * positive - at_four), negative: abs(4 + 3 * negative - at_four)}
    return min(misses, key=misses.__getitem__)


def _from_vllm(server: Server, prompt: str | tuple[int, ...]) -> NextToken:
    tokens = tokens_of(server, prompt)
    body = {
        "model": server.model, "prompt": tokens, "max_tokens": 1, "temperature": 0, "logprobs": -1,
        "return_tokens_as_token_ids": True,
    }  # fmt: skip
    try:
        answer = ask(server, "/v1/completions", body)
    except RequestRefused as refused:
        if "logprobs" not in refused.details:
            raise
        raise SettingsError(
            _("vLLM returns only a few log-probabilities here; start it with max_logprobs=-1."),
            details=refused.details,
        ) from None
    told = answer["choices"][0]["logprobs"]["top_logprobs"][0]
    values = {int(name.removeprefix("token_id:")): value for name, value in told.items()}
    row = np.full(max(values) + 1, -np.inf)
    row[list(values)] = list(values.values())
    total = _log_sum_exp(row)
    return NextToken(tokens, row) if abs(total) < NORMALISED else NextToken(tokens, row - total, total)


def _from_tgi(server: Server, prompt: str | tuple[int, ...]) -> NextToken:
    if not isinstance(prompt, str):
        raise SettingsError(_("TGI takes text, not token ids; give it text."))
    tokens = tokens_of(server, prompt)
    parameters = {"max_new_tokens": 1, "details": True, "do_sample": False, "top_n_tokens": TGI_TOP}
    details = ask(server, "/generate", {"inputs": prompt, "parameters": parameters})["details"]
    top = {token["id"]: token for token in details["top_tokens"][0]}
    size = max(*top, *tokens) + 1
    logprobs = np.full(size, -np.inf)
    pieces = [b""] * size
    for token, entry in top.items():
        logprobs[token] = entry["logprob"]
        pieces[token] = entry["text"].encode()
    return NextToken(tokens, logprobs, None, tuple(pieces))


def _log_sum_exp(logits: NDArray[np.float64]) -> float:
    highest = float(logits.max())
    return highest + math.log(float(np.exp(logits - highest).sum()))
