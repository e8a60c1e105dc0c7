"""Every route asked in the same way: a small adapter for each kind, and what they answer on one scale."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from courselib.controls.controls import Controls
from courselib.controls.routes import ROUTES

CHILD = Path(__file__).with_name("vllm_child.py")
# The model's own template, so that the same text goes to the routes that take a plain one.
TEMPLATE = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)


class Refused(Exception):
    """The engine does not take the request: an HTTP status of 4xx, or an exception of a library."""


@dataclass
class Answer:
    """An answer on one scale.

    Args:
        texts: of all choices; ``text`` is the first's.
        length: tokens of the first choice.
        finish: why it ended, in the engine's word.
        steps: for each token, the alternatives told with it and their log-probabilities.
        echo: what the engine says of the call besides: the settings it used, or TGI's tokens and seed.
    """

    texts: list
    length: int
    finish: str
    steps: list = field(default_factory=list)
    echo: dict = field(default_factory=dict)

    @property
    def text(self):
        return self.texts[0]

    @property
    def result(self):
        """What a change of controls would change."""
        return self.texts, self.length, self.finish


class Live:
    """A route of a running engine.

    Args:
        name: of the route.
        tokenize: text to token ids; all engines here have the same vocabulary.
    """

    def __init__(self, name, tokenize):
        self.route = ROUTES[name]
        self.tokenize = tokenize
        self.known = {}

    def ask(self, message, *, raw=None, **controls):
        """Ask with controls as the route's plan spells them, and with ``raw`` arguments just as they are."""
        return self.ask_all(message, [controls], raw=raw)[0]

    def ask_all(self, message, many, *, raw=None):
        """The same with several sets of controls, at once where the route can."""
        prompt = message if self.route.takes == "messages" else TEMPLATE.format(message)
        plans = [self.route.plan(Controls(**controls)) for controls in many]
        return self._ask_all(prompt, [{**plan.arguments, **(raw or {})} for plan in plans])

    def token(self, text):
        (number,) = self.tokenize(text)
        return number


class HttpRoute(Live):
    """A route of a server."""

    def __init__(self, name, tokenize, server):
        super().__init__(name, tokenize)
        self.server = server

    def _ask_all(self, prompt, many):
        # vLLM is slow alone and quick at many. llama.cpp's logits differ a little with what runs beside, and where
        # the tail is long that is another token, whatever the seed.
        with ThreadPoolExecutor(len(many) if self.route.engine == "vLLM" else 1) as pool:
            return list(pool.map(lambda arguments: self._ask(prompt, arguments), many))

    def _ask(self, prompt, arguments):
        if self.route.nest:
            body = {"inputs": prompt, self.route.nest: {"details": True, **arguments}}
        else:
            chat = [{"role": "user", "content": prompt}]
            given = {self.route.takes: chat if self.route.takes == "messages" else prompt}
            # llama.cpp's OpenAI routes tell the settings they used only when verbose; others do not know the name.
            body = {"model": self.server.model, **given, "verbose": True, **arguments}
        answer = self.server.http.post(self.route.path, json=body, timeout=120)
        if 400 <= answer.status_code < 500:
            raise Refused(f"{answer.status_code}: {answer.text}")
        return READERS[self.route.path](answer.raise_for_status().json())


class LlamaRoute(Live):
    """llama.cpp as a library."""

    def __init__(self, name, tokenize, llm):
        super().__init__(name, tokenize)
        self.llm = llm

    def _ask_all(self, prompt, many):
        return [self._ask(prompt, arguments) for arguments in many]

    def _ask(self, prompt, arguments):
        try:
            if self.route.takes == "prompt":
                return _openai(self.llm.create_completion(prompt, **arguments))
            return _openai(self.llm.create_chat_completion([{"role": "user", "content": prompt}], **arguments))
        except (TypeError, ValueError) as error:
            raise Refused(f"{type(error).__name__}: {error}") from error


class SamplingParamsRoute(Live):
    """vLLM as a library, in a process of the environment that has it."""

    def __init__(self, name, tokenize, process, told):
        super().__init__(name, tokenize)
        self.process = process
        self.told = told

    def _ask_all(self, prompt, many):
        print(json.dumps({"prompt": prompt, "many": many}), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        if isinstance(answer, str):
            raise Refused(answer)
        return [Answer(**one) for one in answer]


def start_library(python, model, environment):
    """vLLM's library with a model: its process, and what it tells of its defaults."""
    process = subprocess.Popen(
        [python, CHILD, model],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    return process, json.loads(process.stdout.readline())


def _openai(answer):
    """OpenAI's two routes, whoever serves them."""
    choices = answer["choices"]
    texts = [choice["message"]["content"] if "message" in choice else choice["text"] for choice in choices]
    told = choices[0].get("logprobs") or {}
    steps = [_likely(token) for token in told["content"]] if "content" in told else list(told.get("top_logprobs") or ())
    echo = (answer.get("__verbose") or {}).get("generation_settings", {})
    return Answer(texts, answer["usage"]["completion_tokens"], choices[0]["finish_reason"], steps, echo)


def _completion(answer):
    """llama-server's own route, which answers with a list where there are several."""
    answers = answer if isinstance(answer, list) else [answer]
    first = answers[0]
    steps = [_likely(token) for token in first.get("completion_probabilities", ())]
    texts = [one["content"] for one in answers]
    return Answer(texts, first["tokens_predicted"], first["stop_type"], steps, first["generation_settings"])


def _generate(answer):
    """TGI's own route."""
    details = answer["details"]
    tops = details.get("top_tokens") or [[token] for token in details["tokens"]]
    # A greedy choice after penalties is told without its probability by the gateway.
    steps = [{one["text"]: one.get("logprob") for one in step} for step in tops]
    texts, finish = [answer["generated_text"]], details["finish_reason"]
    return Answer(texts, details["generated_tokens"], finish, steps, details)


def _likely(token):
    """A token's alternatives; itself, where none are told."""
    return {one["token"]: one["logprob"] for one in token["top_logprobs"] or [token]}


READERS = {
    "/v1/chat/completions": _openai,
    "/v1/completions": _openai,
    "/completion": _completion,
    "/generate": _generate,
}
