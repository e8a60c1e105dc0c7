"""The programs shown make the same call without us: each is run, and gives what the course's own call gives."""

import ast
import subprocess
import sys

import pytest

import courselib
from courselib.controls.code import chat_programs
from courselib.stream import ChatStream, chat_messages

CASES = [
    ("Say hello.", "", {"max_tokens": 12, "temperature": 0}),
    ("Quotes: \" and ' and \\ and\nlines", "Be brief.", {"max_tokens": 8, "temperature": 0.9, "top_p": 0.7, "seed": 7}),
    ("用一句話說明什麼是 GPU。🙂 $HOME `id`", "", {"max_tokens": 10, "temperature": 0, "seed": None}),
]


@pytest.fixture(scope="module")
def server():
    with courselib.launch("llama.cpp", context=1024) as running:
        yield running


@pytest.mark.engine
@pytest.mark.parametrize("client", ["openai", "huggingface_hub", "curl"])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_program_gives_the_same_text(server, client, case):
    prompt, system, options = CASES[case]
    messages = chat_messages(prompt, system)
    program = chat_programs(server, messages, options)[client]
    call = {name: value for name, value in options.items() if value is not None}
    expected = b"".join(token.data for token in ChatStream(server, messages, **call)).decode()
    command = ["bash", "-c", program] if client == "curl" else [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (_text_of_events(done.stdout) if client == "curl" else done.stdout) == expected


def _text_of_events(stream):
    import json

    events = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in json.loads(event)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.engine
def test_programs_hold_nothing_of_ours_and_nothing_dead(server):
    programs = chat_programs(server, chat_messages("Hi"), {"max_tokens": 5, "seed": None})
    for name, program in programs.items():
        assert "courselib" not in program
        assert "seed" not in program
        assert "None" not in program
        if name != "curl":
            ast.parse(program)
            assert max(map(len, program.splitlines())) < 80


def test_formatted_as_the_formatter_would():
    class Somewhere:
        base_url, key, model = "http://127.0.0.1:8080/v1", "k", "m"

    programs = chat_programs(Somewhere(), chat_messages("Hi", "Be brief."), {"max_tokens": 5})
    for name in ("openai", "huggingface_hub"):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", "-"],
            input=programs[name], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
