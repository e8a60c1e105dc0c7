"""Answers to the exercises on prompts, commands, responses, and answers that loop."""

from __future__ import annotations

import re

from tests.exercises.cases import Case


def response(
    *, text=lambda m: m["content"], cut=lambda reason: reason != "stop", tokens=lambda u: u["completion_tokens"]
):
    def answer(body):
        (choice,) = body["choices"]
        return (text(choice["message"]), cut(choice["finish_reason"]), tokens(body["usage"]))

    return answer


def words_counted(body):
    text, cut, _tokens = response()(body)
    return [text, cut, len(re.findall(r"\S+", text))]


def template(turn="<|im_start|>{role}\n{content}<|im_end|>\n", end="<|im_start|>assistant\n"):
    return lambda messages: "".join([turn.format(**message) for message in messages] + [end])


def command(*, value=True, load=("--load-mode", "mlock"), program=1):
    def answer(words):
        text = "\0".join(words)
        text = text.replace("./server", "llama-server", program if words[0] == "./server" or program < 0 else 0)
        text = text.replace("--mlock", "\0".join(load)).replace("--max-input-length", "--max-input-tokens")
        text = text.replace("\0--cont-batching", "")
        return re.sub(r"\0--waiting-served-ratio" + (r"\0[^\0]*" if value else ""), "", text).split("\0")

    return answer


def split_again(words):
    return " ".join(command()(words)).split(" ")


def loop(*, sizes=lambda most: range(1, most + 1), more=0, search=re.search, end="$"):
    """With a regular expression over letters."""

    def answer(tokens, max_size, min_count):
        text = "".join(map(chr, tokens))
        for size in sizes(max_size):
            if search(f"(?s)(.{{{size}}})\\1{{{min_count - 1 + more}}}{end}", text):
                return size
        return 0

    return answer


CASES = {
    "read_response": Case(
        response(),
        (
            (response(cut=lambda reason: reason == "stop"), "counts as cut off"),
            (response(tokens=lambda usage: usage["total_tokens"]), "prompt are counted too"),
            (response(tokens=lambda usage: usage["prompt_tokens"]), "These are the tokens of the prompt"),
            (words_counted, "Words are counted"),
            (response(text=lambda message: message), "whole message"),
        ),
    ),
    "chat_prompt": Case(
        template(),
        (
            (template("<|im_start|>{role}\n{content}\n<|im_end|>\n"), "line break before"),
            (template("<|im_start|>{role}\n{content}<|im_end|>"), "without a line break"),
            (template(end=""), "open its own"),
            (template(end="<|im_start|>assistant\n<|im_end|>\n"), "closed already"),
            (template(end="<|im_start|>assistant"), "after the last role"),
        ),
    ),
    "modern_command": Case(
        command(),
        (
            (command(value=False), "stayed behind"),
            (command(load=("--load-mode mlock",)), "one word here"),
            (split_again, "falls apart"),
            (command(program=-1), "only the first word"),
        ),
    ),
    "loop_detector": Case(
        loop(),
        (
            (loop(sizes=lambda most: range(most, 0, -1)), "longest pattern"),
            (loop(end=""), "in the middle"),
            (loop(sizes=lambda most: range(1, most)), "exactly max_size"),
            (loop(more=1), "rounds are enough"),
            (loop(more=-1), "less than min_count"),
        ),
    ),
}
