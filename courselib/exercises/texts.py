"""Exercises on what goes in and what comes out: prompts, commands, responses, and answers that loop."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

from courselib.exercises.judge import Arguments, Exercise, Function, Mistake
from courselib.i18n import N_

START, END = "<|im_start|>", "<|im_end|>"
WORDS = ("Hello.", "Say hello in French.", "What is 2 + 2?", "You are brief.", "Why?", "Bonjour.", "Four.", "Go on.")


def read_response(response: dict[str, Any]) -> list[Any]:
    """Text, whether it was cut off, and how many tokens it has."""
    choice = response["choices"][0]
    return [choice["message"]["content"], choice["finish_reason"] == "length", response["usage"]["completion_tokens"]]


def _with(response: dict[str, Any], **changed: Any) -> list[Any]:
    right = dict(zip(("text", "cut", "tokens"), read_response(response), strict=True))
    return list((right | changed).values())


def _response_inputs(source: Random) -> list[Arguments]:
    def response(text: str, reason: str) -> Arguments:
        prompt, answer = source.randint(20, 60), len(text.split()) + source.randint(2, 9)
        usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
        message = {"role": "assistant", "content": text}
        return ({"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage},)

    return [
        response("Paris is the capital", "length"),
        response("Paris.", "stop"),
        response(source.choice(WORDS), "stop"),
    ]


def chat_prompt(messages: list[dict[str, str]], *, fault: str = "") -> str:
    """Messages in the layout that SmolLM2 was trained on, open for the assistant's answer."""
    before = "\n" if fault == "break" else ""
    after = "" if fault == "joined" else "\n"
    turns = "".join(f"{START}{each['role']}\n{each['content']}{before}{END}{after}" for each in messages)
    if fault == "unopened":
        return turns
    return f"{turns}{START}assistant" + (f"\n{END}\n" if fault == "closed" else "" if fault == "inline" else "\n")


def _message_inputs(source: Random) -> list[Arguments]:
    def chat(*roles: str) -> Arguments:
        return ([{"role": role, "content": source.choice(WORDS)} for role in roles],)

    return [
        chat("user"),
        chat("system", "user"),
        chat("system", "user", "assistant", "user"),
        chat("user", "assistant"),
    ]


# What today's programs do with the settings of old commands (lesson 16).
_RENAMED = {"--mlock": ["--load-mode", "mlock"], "--max-input-length": ["--max-input-tokens"]}
_WITH_VALUE, _ALONE = {"--waiting-served-ratio"}, {"--cont-batching"}


def modern(words: list[str], *, fault: str = "") -> list[str]:
    """The words of an old command as today's."""
    result, left_out = [], False
    for at, word in enumerate(words):
        if word == "./server" and (at == 0 or fault == "everywhere"):
            result.append("llama-server")
        elif not left_out:
            as_one = fault == "one" and word in _RENAMED
            result += [" ".join(_RENAMED[word])] if as_one else _RENAMED.get(word, [word])
        left_out = word in _WITH_VALUE and fault != "value"
        if word in _WITH_VALUE or word in _ALONE:
            result.pop()
    return " ".join(result).split() if fault == "joined" else result


def _command_inputs(source: Random) -> list[Arguments]:
    length = str(source.randint(5, 40) * 100)
    return [
        (["./server", "-m", "model.gguf", "--cont-batching", "-c", length],),
        (["./server", "--mlock", "-m", "my model.gguf", "--alias", "./server"],),
        (["text-generation-launcher", "--max-input-length", length, "--waiting-served-ratio", "1.2", "--port", "80"],),
        (["llama-server", "-m", "model.gguf"],),
    ]


def loop_size(tokens: list[int], max_size: int, min_count: int, *, fault: str = "") -> int:
    """Tokens in the shortest pattern with which an answer ends ``min_count`` times in a row; 0 where there is none."""
    sizes = range(1, max_size + (fault != "short"))
    for size in reversed(sizes) if fault == "longest" else sizes:
        count = min_count + (fault == "more") - (fault == "fewer")
        ends = range(size * count, len(tokens) + 1) if fault == "anywhere" else [len(tokens)]
        for end in ends:
            last = tokens[max(0, end - size * count) : end]
            if len(last) == size * count and last == last[:size] * count:
                return size
    return 0


def _loop_inputs(source: Random) -> list[Arguments]:
    start, pattern = source.sample(range(20, 60), 6), source.sample(range(10), 5)
    return [
        ([*start, *pattern * 4], 20, 4),
        ([*start, *pattern * 4], 5, 4),
        ([*start, *pattern * 4], 4, 4),
        ([*start, *pattern * 3], 20, 4),
        ([*start, *[7] * 8], 4, 4),
        ([*pattern * 4, *start], 20, 4),
        ([1, 2], 20, 4),
    ]


EXERCISES: tuple[Exercise, ...] = (
    Function(
        "read_response",
        "read_response(response)",
        N_("lesson 00, Start here, on reading a response"),
        read_response,
        _response_inputs,
        (
            Mistake(
                N_("An answer that the model ended by itself counts as cut off."),
                lambda response: _with(response, cut=not read_response(response)[1]),
            ),
            Mistake(
                N_("The tokens of the prompt are counted too."),
                lambda response: _with(response, tokens=response["usage"]["total_tokens"]),
            ),
            Mistake(
                N_("These are the tokens of the prompt."),
                lambda response: _with(response, tokens=response["usage"]["prompt_tokens"]),
            ),
            Mistake(
                N_("Words are counted here. A token is not a word, and the server reports how many there were."),
                lambda response: _with(response, tokens=len(read_response(response)[0].split())),
            ),
            Mistake(
                N_("The whole message is returned, not its text."),
                lambda response: _with(response, text=response["choices"][0]["message"]),
            ),
        ),
    ),
    Function(
        "chat_prompt",
        "chat_prompt(messages)",
        N_("lesson 13, llama.cpp as a library, on a prompt written by hand"),
        chat_prompt,
        _message_inputs,
        tuple(
            Mistake(says, partial(chat_prompt, fault=fault))
            for fault, says in (
                ("break", N_("There is a line break before the end marker; the model never saw one there.")),
                ("joined", N_("The turns follow each other without a line break.")),
                ("unopened", N_("The prompt ends after the last turn: the model would have to open its own.")),
                ("closed", N_("The assistant's turn is closed already: the model has nothing left to write.")),
                ("inline", N_("The line break after the last role is missing.")),
            )
        ),
    ),
    Function(
        "modern_command",
        "modern(words)",
        N_("lesson 16, The old page, line by line"),
        modern,
        _command_inputs,
        tuple(
            Mistake(says, partial(modern, fault=fault))
            for fault, says in (
                ("value", N_("A setting was left out, and its value stayed behind as a word of its own.")),
                ("one", N_("A name and its value are one word here; a command has a word for each.")),
                ("joined", N_("The words were joined and split again: a file name with a blank falls apart.")),
                ("everywhere", N_("A value was changed; only the first word is the program.")),
            )
        ),
    ),
    Function(
        "loop_detector",
        "loop_size(tokens, max_size, min_count)",
        N_("lesson 24, Repetition: phrases, on detecting a loop"),
        loop_size,
        _loop_inputs,
        tuple(
            Mistake(says, partial(loop_size, fault=fault))
            for fault, says in (
                ("longest", N_("The longest pattern is returned; a pattern repeated is itself a longer pattern.")),
                ("anywhere", N_("A repetition in the middle counts; the answer must end with it.")),
                ("short", N_("Off by one: a pattern of exactly max_size tokens counts.")),
                ("more", N_("Off by one: min_count rounds are enough.")),
                ("fewer", N_("Off by one: one round less than min_count is taken for a loop.")),
            )
        ),
    ),
)
