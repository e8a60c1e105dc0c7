"""What learners still find on the web about llama.cpp, each with its verdict of today, run live.

A snippet runs as it was, runs once corrected, or fails with a certain error. ``{url}``, ``{key}`` and ``{model}`` stand
for the server's address, its key, and the model's file, ``{port}`` for a free port; the rest is as people write it.
(``make`` in llama.cpp's sources ends with "Build system changed", as recorded: the sources are not here to be built.)
"""

import importlib.util
import os
import signal
import subprocess
import sys

import pytest

import courselib
from courselib import models
from courselib.processes.ports import free_port
from tests.snippets.snippets import FAILS, RUNS, Snippet, check, fill_in, outcome

pytestmark = pytest.mark.engine

CLIENTS = [
    Snippet(
        "openai, chat",
        "from openai import OpenAI\n"
        "client = OpenAI(base_url='{url}/v1', api_key='{key}')\n"
        "r = client.chat.completions.create(model='smollm2-1.7b-instruct', max_tokens=20, temperature=0.7,\n"
        "    top_p=0.95, messages=[dict(role='user', content='Tell me a story')])\n"
        "print(r.usage.completion_tokens)",
        RUNS,
        r"^20$",
    ),
    Snippet(
        "openai, completion with penalties",
        "from openai import OpenAI\n"
        "client = OpenAI(base_url='{url}/v1', api_key='{key}')\n"
        "r = client.completions.create(model='any', prompt='Write a varied text', frequency_penalty=0.5,\n"
        "    presence_penalty=0.3, max_tokens=20)\n"
        "print(r.usage.completion_tokens)",
        RUNS,
        r"^\d+$",
    ),
    Snippet(
        "an address without a host",
        "from huggingface_hub import InferenceClient\n"
        "client = InferenceClient(model='https://:8080/v1', token='{key}')\n"
        "client.chat_completion([dict(role='user', content='Hi')], max_tokens=5)",
        FAILS,
        r"UnsupportedProtocol|InvalidURL|missing an 'http|No host",
        "from huggingface_hub import InferenceClient\n"
        "client = InferenceClient(model='{url}/v1', token='{key}')\n"
        "print(client.chat_completion([dict(role='user', content='Hi')], max_tokens=5).usage.completion_tokens)",
    ),
    Snippet(
        "text_generation with details",
        "from huggingface_hub import InferenceClient\n"
        "client = InferenceClient(model='{url}', token='{key}')\n"
        "client.text_generation('Tell me a story', max_new_tokens=10, details=True)",
        FAILS,
        r"404",
        "from openai import OpenAI\n"
        "client = OpenAI(base_url='{url}/v1', api_key='{key}')\n"
        "print(client.completions.create(model='m', prompt='Tell me a story', max_tokens=10).usage.completion_tokens)",
    ),
    *(
        Snippet(
            f"text_generation at {path}",
            "from huggingface_hub import InferenceClient\n"
            f"client = InferenceClient(model='{{url}}{path}', token='{{key}}')\n"
            "client.text_generation('Tell me a story', max_new_tokens=10)",
            FAILS,
            says,
        )
        for path, says in (("/v1", "404"), ("/completion", "400"), ("/v1/completions", "400"))
    ),
    Snippet(
        "openai, a completion without a length goes on to the end",
        "from openai import OpenAI\n"
        "client = OpenAI(base_url='{url}/v1', api_key='{key}')\n"
        "r = client.completions.create(model='any', prompt='One, two, three, four,', temperature=0)\n"
        "print(r.usage.completion_tokens > 16)",
        RUNS,
        r"^True$",
    ),
    Snippet(
        "stop_sequences",
        "from huggingface_hub import InferenceClient\n"
        "client = InferenceClient(model='{url}', token='{key}')\n"
        "client.text_generation('Tell me', stop_sequences=['###'])",
        FAILS,
        r"TypeError: .*stop_sequences",
    ),
    Snippet(
        "client.generate",
        "from huggingface_hub import InferenceClient\n"
        "InferenceClient(model='{url}', token='{key}').generate('Tell me', no_repeat_ngram_size=3)",
        FAILS,
        r"AttributeError: .*generate",
    ),
    Snippet(
        "top_k as an argument of openai's client",
        "from openai import OpenAI\n"
        "client = OpenAI(base_url='{url}/v1', api_key='{key}')\n"
        "client.completions.create(model='m', prompt='Hi', top_k=50, max_tokens=3)",
        FAILS,
        r"TypeError: .*top_k",
        "from openai import OpenAI\n"
        "client = OpenAI(base_url='{url}/v1', api_key='{key}')\n"
        "r = client.completions.create(model='m', prompt='Hi', max_tokens=3, extra_body=dict(top_k=50))\n"
        "print(r.usage.completion_tokens)",
    ),
    Snippet(
        "the other engine's name for a control is ignored without a word",
        "from openai import OpenAI\n"
        "client = OpenAI(base_url='{url}/v1', api_key='{key}')\n"
        "ask = lambda **extra: client.completions.create(model='m', prompt='red red red red red red',\n"
        "    max_tokens=12, temperature=0, extra_body=extra).choices[0].text\n"
        "print(ask() == ask(repetition_penalty=9.0), ask() == ask(repeat_penalty=9.0))",
        RUNS,
        r"^True False$",
    ),
]
# Typed into bash; a server that has started is ended. llama.cpp's own program says "invalid argument" (recorded) where
# the course's says "unrecognized arguments".
COMMANDS = [
    Snippet(
        "the old name",
        "./server -m {model} --port {port}",
        FAILS,
        r"\./server: No such file or directory",
        "llama-server -m {model} --host 127.0.0.1 --port {port} -c 512",
    ),
    Snippet(
        "for everyone, on a CPU",
        "llama-server -m {model} --host 0.0.0.0 --port {port} -c 512 --n-gpu-layers 0",
        RUNS,
        r"no API key is set",
    ),
    Snippet(
        "a comment behind each backslash",
        "llama-server -m {model} --port {port} \\\n"
        "    -c 512 \\            # Context size\n"
        "    --threads 2 \\       # CPU threads to use\n"
        "    --batch-size 512",
        FAILS,
        r"(invalid argument|unrecognized arguments): .*--threads: command not found",
        "flags=(\n"
        "  -c 512             # Context size\n"
        "  --threads 2        # CPU threads to use\n"
        "  --batch-size 512\n"
        ")\n"
        'llama-server -m {model} --port {port} "${flags[@]}"',
    ),
    Snippet(
        "memory that may not be swapped out",
        "llama-server -m {model} --port {port} -c 512 --mlock",
        FAILS,
        r"(invalid argument|unrecognized arguments): --mlock",
        "llama-server -m {model} --port {port} -c 512 --load-mode mlock",
    ),
    Snippet(
        "what is the default by now",
        "llama-server -m {model} --port {port} -c 512 --threads 8 --batch-size 512 --cont-batching",
        RUNS,
        r"listening on http",
    ),
    Snippet(
        "layers for a GPU that is not there",
        "llama-server -m {model} --port {port} -c 512 --n-gpu-layers 20",
        RUNS,
        r"no usable GPU found|listening on http",
    ),
]
NATIVE = [
    Snippet(
        "Llama, a prompt by hand",
        "from llama_cpp import Llama\n"
        "llm = Llama(model_path='{model}', n_ctx=256, n_threads=1, n_gpu_layers=0, verbose=False)\n"
        "prompt = '<|im_start|>user\\nTell me a story\\n<|im_end|>\\n<|im_start|>assistant\\n'\n"
        "print(llm(prompt, max_tokens=8, temperature=0.7, top_p=0.95, echo=False, stop=['<|im_end|>'])['object'])",
        RUNS,
        r"^text_completion$",
    ),
    Snippet(
        "Llama, penalties and top_k",
        "from llama_cpp import Llama\n"
        "llm = Llama(model_path='{model}', n_ctx=256, n_threads=1, verbose=False)\n"
        "r = llm('Write', max_tokens=8, top_k=50, repeat_penalty=1.1, frequency_penalty=0.5, presence_penalty=0.5)\n"
        "print(r['usage']['completion_tokens'] <= 8)",
        RUNS,
        r"^True$",
    ),
    Snippet(
        "Llama, a call without a length ends after 16 tokens",
        "from llama_cpp import Llama\n"
        "llm = Llama(model_path='{model}', n_ctx=256, n_threads=1, verbose=False)\n"
        "print(llm('Once upon a time', temperature=0, repeat_penalty=1.1)['usage']['completion_tokens'])",
        RUNS,
        r"^16$",
    ),
    Snippet(
        "Llama, min_tokens",
        "from llama_cpp import Llama\nLlama(model_path='{model}', n_ctx=256, verbose=False)('Write', min_tokens=10)",
        FAILS,
        r"TypeError: .*min_tokens",
    ),
    Snippet(
        "Llama, a misspelt setting is swallowed",
        "from llama_cpp import Llama\nprint(Llama(model_path='{model}', contexts=99, verbose=False).n_ctx())",
        RUNS,
        r"^512$",
    ),
]


@pytest.fixture(scope="module")
def run():
    with courselib.launch("llama.cpp", context=512) as server:
        places = {"{url}": server.url, "{key}": server.key, "{model}": str(models.resolve("smollm2-135m"))}
        yield lambda code: outcome(fill_in(code, places))


@pytest.mark.parametrize("snippet", CLIENTS, ids=lambda snippet: snippet.name)
def test_client(snippet, run):
    check(snippet, run)


@pytest.fixture(scope="module")
def type_in(tmp_path_factory):
    """Bash, with the course's server under the name that llama.cpp gives it."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "llama-server"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m courselib.engines.llamacpp.program "$@"\n')
    program.chmod(0o755)

    def run(command):
        places = {"{model}": str(models.resolve("smollm2-135m")), "{port}": str(free_port())}
        shell = subprocess.Popen(
            ["bash", "-c", fill_in(command, places)],
            env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, cwd=folder,
        )  # fmt: skip
        said = ""
        with shell:
            for line in shell.stdout:
                said += line
                if "listening on http" in line:
                    os.killpg(shell.pid, signal.SIGKILL)
                    return RUNS, said
        return (FAILS if shell.returncode else RUNS), said

    return run


@pytest.mark.timeout(60)
@pytest.mark.parametrize("snippet", COMMANDS, ids=lambda snippet: snippet.name)
def test_command(snippet, type_in):
    check(snippet, type_in)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("llama_cpp"), reason="llama-cpp-python is not installed: make native")
@pytest.mark.parametrize("snippet", NATIVE, ids=lambda snippet: snippet.name)
def test_native(snippet, run):
    check(snippet, run)
