"""What learners still find on the web about vLLM, each with its verdict of today, run live.

``{url}``, ``{key}`` and ``{model}`` stand for the server's address, its key, and the model's folder; the rest is as
people write it. The server itself is started by the old command. The library's snippets run in vLLM's environment.
"""

import os
import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from courselib.engines.vllm import machine
from courselib.engines.vllm.environment import BIND, OFFLINE
from courselib.engines.vllm.model import find_model
from courselib.processes.ports import free_port
from courselib.processes.process import GuardedProcess
from tests.snippets.snippets import FAILS, RUNS, Snippet, check, fill_in, outcome, outcomes_elsewhere

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

NAME = "HuggingFaceTB/SmolLM2-360M-Instruct"
KEY = "sk-no-key-required"
START_S = 400
# Not on the web, and needed on a machine that others use: without, vLLM takes nearly all of its memory.
SMALL = "max_model_len=512, kv_cache_memory_bytes=64 << 20, enforce_eager=True"

HUB = "from huggingface_hub import InferenceClient\nclient = InferenceClient(model='{url}/v1', token='{key}')\n"
OPENAI = "from openai import OpenAI\nclient = OpenAI(base_url='{url}/v1', api_key='{key}')\n"
MESSAGES = "messages=[dict(role='user', content='Tell me a story')]"
COMPLETION = OPENAI + f"client.completions.create(model='{NAME}', prompt='Tell me a story', max_tokens=10)"
CLIENTS = [
    Snippet(
        "text_generation at the address of OpenAI's routes",
        HUB + "client.text_generation('Tell me a story', max_new_tokens=10, details=True)",
        FAILS,
        r"404",
        COMPLETION,
    ),
    Snippet(
        "text_generation at the root",
        HUB.replace("/v1", "") + "client.text_generation('Tell me a story', max_new_tokens=10, details=True)",
        FAILS,
        r"404",
        COMPLETION,
    ),
    Snippet(
        "text_generation at the address of completions",
        HUB.replace("/v1", "/v1/completions") + "client.text_generation('Tell me a story', max_new_tokens=10)",
        FAILS,
        r"Either prompt or prompt_embeds must be provided",
        COMPLETION,
    ),
    Snippet(
        "chat_completion without a name",
        HUB + f"client.chat_completion(max_tokens=10, temperature=0.7, top_p=0.95, {MESSAGES})",
        FAILS,
        r"The model `dummy` does not exist",
        HUB + f"client.chat_completion(model='{NAME}', max_tokens=10, temperature=0.7, top_p=0.95, {MESSAGES})",
    ),
    Snippet(
        "chat_completion, the name past the client",
        HUB + f"r = client.chat_completion(max_tokens=10, extra_body=dict(model='{NAME}'), {MESSAGES})\nprint(r.model)",
        RUNS,
        rf"^{NAME}$",
    ),
    Snippet(
        "openai, chat",
        OPENAI + f"r = client.chat.completions.create(model='{NAME}', max_tokens=10, temperature=0.7, top_p=0.95,\n"
        f"    {MESSAGES})\nprint(r.object)",
        RUNS,
        r"^chat.completion$",
    ),
    Snippet(
        "openai, completion with penalties",
        OPENAI + f"r = client.completions.create(model='{NAME}', prompt='Write a varied text', max_tokens=10,\n"
        "    frequency_penalty=0.5, presence_penalty=0.3)\nprint(r.object)",
        RUNS,
        r"^text_completion$",
    ),
    Snippet(
        "openai, a name that another server would take",
        OPENAI + f"client.chat.completions.create(model='smollm2-1.7b-instruct', max_tokens=10, {MESSAGES})",
        FAILS,
        r"NotFoundError: .*404.*`smollm2-1.7b-instruct` does not exist",
        OPENAI + f"client.chat.completions.create(model='{NAME}', max_tokens=10, {MESSAGES})",
    ),
    Snippet(
        "no name at all, without a client",
        f"import httpx\nbody = dict(max_tokens=3, {MESSAGES})\n"
        "headers = dict(authorization='Bearer {key}')\n"
        "r = httpx.post('{url}/v1/chat/completions', json=body, headers=headers, timeout=60)\n"
        "print(r.status_code, r.json()['model'])",
        RUNS,
        rf"^200 {NAME}$",
    ),
    Snippet(
        "top_k as an argument of openai's client",
        OPENAI + f"client.completions.create(model='{NAME}', prompt='Hi', top_k=50, max_tokens=3)",
        FAILS,
        r"TypeError: .*top_k",
        OPENAI + f"client.completions.create(model='{NAME}', prompt='Hi', max_tokens=3, extra_body=dict(top_k=50))",
    ),
    Snippet(
        "top_k as an argument of chat_completion",
        HUB + f"client.chat_completion(model='{NAME}', top_k=50, max_tokens=3, {MESSAGES})",
        FAILS,
        r"TypeError: .*top_k",
        HUB + f"client.chat_completion(model='{NAME}', max_tokens=3, extra_body=dict(top_k=50), {MESSAGES})",
    ),
    Snippet(
        "the controls of the other engine are ignored without a word",
        OPENAI + "def ask(**extra):\n"
        f"    r = client.completions.create(model='{NAME}', prompt='I am happy 😀 ' * 4 + 'I am happy', max_tokens=9,\n"
        "        temperature=0, extra_body=extra)\n"
        "    return r.choices[0].text\n"
        "print(ask() == ask(repeat_penalty=9.0, no_repeat_ngram_size=2), ask() == ask(repetition_penalty=9.0))",
        RUNS,
        r"^True False$",
    ),
    Snippet(
        "stop_sequences",
        HUB + "client.text_generation('Tell me', stop_sequences=['###'])",
        FAILS,
        r"TypeError: .*stop_sequences",
    ),
    Snippet(
        "client.generate",
        HUB + "client.generate('Tell me', no_repeat_ngram_size=3)",
        FAILS,
        r"AttributeError: .*generate",
    ),
]

CHAT = "chat = [{'role': 'user', 'content': 'Tell me a story'}]\n"
# In one process, in this order: what a piece defines, the next ones find.
LIBRARY = [
    Snippet(
        "SamplingParams, all at once",
        "from vllm import LLM, SamplingParams\n"
        "params = SamplingParams(temperature=0.8, top_p=0.95, top_k=50, presence_penalty=0.5, frequency_penalty=0.5,\n"
        "    repetition_penalty=1.1, max_tokens=20, min_tokens=10, stop=['###', '\\n\\n'], ignore_eos=False,\n"
        "    skip_special_tokens=True)\n"
        "print(params.min_tokens)",
        RUNS,
        r"10$",
    ),
    Snippet(
        "SamplingParams, a name that does not exist",
        "SamplingParams(no_repeat_ngram_size=3)",
        FAILS,
        r"TypeError: .*no_repeat_ngram_size",
    ),
    Snippet(
        "AsyncEngineArgs",
        "from vllm.engine.arg_utils import AsyncEngineArgs\n"
        "engine_args = AsyncEngineArgs(model='{model}', gpu_memory_utilization=0.85, max_num_batched_tokens=8192,\n"
        "    block_size=16)\n"
        "print(engine_args.block_size)",
        RUNS,
        r"16$",
    ),
    Snippet(
        "AsyncEngineArgs, handed to LLM",
        "llm = LLM(engine_args=engine_args)",
        FAILS,
        r"TypeError: .*missing 1 required positional argument: 'model'",
    ),
    Snippet(
        "AsyncEngineArgs, where EngineArgs belong",
        "llm = LLM.from_engine_args(engine_args)",
        FAILS,
        r"TypeError: .*unexpected keyword argument",
        "from vllm import EngineArgs\n"
        f"llm = LLM.from_engine_args(EngineArgs(model='{{model}}', max_num_seqs=8, block_size=32, {SMALL}))",
    ),
    Snippet(
        "generate",
        "outputs = llm.generate('Tell me a story', SamplingParams(max_tokens=10, ignore_eos=True))\n"
        "print(len(outputs[0].outputs[0].token_ids))",
        RUNS,
        r"10$",
    ),
    Snippet(
        "get_chat_template",
        CHAT + "prompt = llm.get_chat_template()(chat)",
        FAILS,
        r"AttributeError: 'LLM' object has no attribute 'get_chat_template'",
        CHAT + "llm.chat(chat, params)",
    ),
    Snippet(
        "the template by the tokenizer",
        CHAT + "text = llm.get_tokenizer().apply_chat_template(chat, tokenize=False, add_generation_prompt=True)\n"
        "print(text.endswith('<|im_start|>assistant\\n'))",
        RUNS,
        r"True$",
    ),
    Snippet("ending it", "llm.llm_engine.engine_core.shutdown()", RUNS, r""),
]

ENGINE = f"llm = LLM(model='{{model}}', max_num_batched_tokens=8192, max_num_seqs=256, block_size=16, {SMALL})\n"
# Whole programs: what they end with stands in their log.
PROGRAMS = {
    "block_size of 16 on a CPU": (
        "from vllm import LLM\nif __name__ == '__main__':\n    " + ENGINE,
        r"No common block size for 16",
        r"Engine core initialization failed",
    ),
    "an engine at the top of a script": (
        "from vllm import LLM\n" + ENGINE.replace("16", "32"),
        r"before the\s+current process has finished its bootstrapping phase",
    ),
}


@pytest.fixture(scope="module")
def child(installed):
    """What the environment of a process with vLLM in it has besides."""
    cores = {BIND: machine.look(installed).cpus} if installed.cpu else {}
    return {**OFFLINE, **cores, "VLLM_API_KEY": KEY}


@pytest.fixture(scope="module")
def folder(installed):
    return str(find_model("smollm2-135m", installed.python).folder)


@pytest.fixture(scope="module")
def server(installed, child, folder):
    """A server started as pages say, by the name of a module: its process and its places."""
    port = free_port("127.0.0.1")
    command = [installed.python, "-m", "vllm.entrypoints.openai.api_server", "--model", folder]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", NAME, "--enforce-eager"]
    command += ["--max-model-len", "512", "--kv-cache-memory-bytes", str(64 << 20)]
    process = GuardedProcess(command, environment=child, name="vllm", grace_s=3)
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_S
        while not _healthy(url):
            assert process.returncode(0.5) is None, process.logs()[-2000:]
            assert time.monotonic() < deadline, process.logs()[-2000:]
        yield process, {"{url}": url, "{key}": KEY, "{model}": folder}
    finally:
        process.stop()


def _healthy(url):
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


def test_the_old_command_works_and_warns(server):
    process, _places = server
    assert "deprecated" in process.logs()


@pytest.mark.parametrize("snippet", CLIENTS, ids=lambda snippet: snippet.name)
def test_client(snippet, server):
    _process, places = server
    check(snippet, lambda code: outcome(fill_in(code, places)))


def run_python(installed, child, words, **options):
    """A process of vLLM's environment, with all that it starts, to its end."""
    environment = {**os.environ, **child}
    return subprocess.run(
        [installed.python, *words], env=environment, text=True, timeout=START_S, check=False, **options
    )


@pytest.fixture(scope="module")
def session(installed, child, folder):
    """The outcome of each piece of the library's snippets, all run in one process."""
    pieces = [fill_in(code, {"{model}": folder}) for each in LIBRARY for code in (each.code, each.mended) if code]
    found = outcomes_elsewhere(installed.python, pieces, environment=child, timeout_s=START_S)
    return dict(zip(pieces, found, strict=True))


@pytest.mark.parametrize("snippet", LIBRARY, ids=lambda snippet: snippet.name)
def test_library(snippet, session, folder):
    check(snippet, lambda code: session[fill_in(code, {"{model}": folder})])


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, installed, child, folder, tmp_path):
    code, *said = PROGRAMS[name]
    if "CPU" in name and not installed.cpu:
        pytest.skip("a GPU takes it")
    (tmp_path / "program.py").write_text(fill_in(code, {"{model}": folder}))
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = run_python(installed, child, [str(tmp_path / "program.py")], **options)
    assert done.returncode != 0
    for pattern in said:
        assert re.search(pattern, done.stdout), done.stdout[-3000:]


def test_vllm_serve_as_the_package_index_has_it(installed, child, tmp_path):
    """Before the course mends its name: the same packages, without the entry that ``courselib install vllm`` adds."""
    if not installed.cpu:
        pytest.skip("the package for GPUs has the right name")
    (packages,) = Path(installed.python).parents[1].glob("lib/python3*/site-packages")
    for path in packages.iterdir():
        if not path.name.startswith("vllm-"):
            (tmp_path / path.name).symlink_to(path)
    code = f"import sys; sys.path.append({str(tmp_path)!r}); sys.argv = ['vllm', 'serve', 'x']\n"
    code += "from vllm.entrypoints.cli.main import main; main()"
    done = run_python(installed, child, ["-S", "-c", code], stderr=subprocess.PIPE)
    assert done.returncode != 0
    assert "PackageNotFoundError: No package metadata was found for vllm" in done.stderr
