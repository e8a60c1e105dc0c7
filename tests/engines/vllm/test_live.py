"""The real vLLM: one server for all that only ask it something, a second one that is stopped while it works."""

import os
import re
import shlex
import threading
import time
from pathlib import Path

import psutil
import pytest

import courselib
from courselib import errors
from courselib.answers.stream import ChatStream, chat_messages
from courselib.controls.controls import Controls
from courselib.controls.route import Verdict
from courselib.controls.routes import ROUTES
from tests import sure
from tests.engines.conftest import is_listening

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

MIB = 1 << 20
NAME = "smollm2-135m"
LONG = "The quick brown fox jumps over the lazy dog. " * 40
BLOCK, BYTES_PER_TOKEN = 128, 23_040


@pytest.fixture(scope="module")
def phases():
    return []


@pytest.fixture(scope="module")
def server(installed, phases):
    """A server with little memory, and a queue from the fifth request on."""
    options = {"max_model_len": 1024, "kv_cache_memory": 256 * MIB, "max_num_seqs": 4}
    with courselib.launch("vllm", **options, on_phase=lambda phase, at: phases.append((at, phase))) as running:
        yield running


def ask(server, **options):
    return server.openai().chat.completions.create(
        model=NAME, messages=sure.MESSAGES, max_tokens=8, temperature=0, **options
    )


def test_phases_pass_in_order_while_it_starts(server, phases):
    times, names = zip(*phases, strict=True)
    declared = [words for _pattern, words in server.engine.phases]
    assert list(names) == sorted(names, key=declared.index), "no phase comes back"
    assert names[0] == declared[0]
    # What vLLM logs differs a little between machines; that a whole log has them all is tested on a recorded one.
    assert len(set(names)) >= 6
    assert list(times) == sorted(times)
    assert times[-1] <= server.start_s
    assert server.phases == {phase: at for at, phase in reversed(phases)}, "each when it was first seen"


def test_both_clients_get_the_same_greedy_answer(server):
    hub = server.hub().chat_completion(sure.MESSAGES, model=NAME, max_tokens=8, temperature=0)
    assert ask(server).choices[0].message.content == hub.choices[0].message.content == sure.ANSWER


def test_what_is_sure_elsewhere_is_sure_in_bfloat16(server):
    assert "bfloat16" in server.logs()
    assert sure.least_lead(server) > sure.LEAD


def test_the_hubs_client_names_a_model_of_its_own_that_vllm_refuses(server):
    from huggingface_hub.errors import HfHubHTTPError

    with pytest.raises(HfHubHTTPError, match="The model `dummy` does not exist") as caught:
        server.hub().chat_completion(sure.MESSAGES, max_tokens=4)
    assert caught.value.response.status_code == 404
    other_way = server.hub().chat_completion(sure.MESSAGES, max_tokens=4, extra_body={"model": NAME})
    assert other_way.usage.completion_tokens == 4


@pytest.mark.parametrize("name", ["vLLM chat", "vLLM completions"])
@pytest.mark.parametrize(("number", "taken"), [(20, True), (21, False)])
def test_log_probabilities_as_many_as_the_table_says(server, name, number, taken):
    route = ROUTES[name]
    line = route.plan(Controls(logprobs=number)).line("logprobs")
    assert (line.verdict is Verdict.REFUSED) != taken
    spelled = route.table["logprobs"].write(number)
    prompt = sure.MESSAGES if route.takes == "messages" else "One, two,"
    body = {**route.body(route.plan(Controls(max_tokens=1)), prompt, server.model), **spelled}
    reply = server.http.post(route.path, json=body, timeout=60)
    assert (reply.status_code == 200) == taken, reply.text


def test_streaming_with_the_tokens_bytes(server):
    stream = ChatStream(server, chat_messages("Say 你好"), max_tokens=20, temperature=0, logprobs=True, top_logprobs=2)
    tokens = list(stream)
    assert b"".join(token.data for token in tokens).decode("utf-8", "backslashreplace") == stream.answer.text
    assert len(tokens) == stream.answer.completion_tokens
    assert all(len(token.alternatives) >= 2 and token.logprob <= 0 for token in tokens)
    assert 0 < stream.answer.ttft_s < 30


def test_settings_reach_the_engine(server):
    told = re.search(r"^vllm:cache_config_info\{(.*)\}", server.http.get("/metrics").text, re.MULTILINE)[1]
    for words in (f'block_size="{BLOCK}"', f'kv_cache_memory_bytes="{256 * MIB}"', 'enable_prefix_caching="True"'):
        assert words in told
    assert server.http.get("/v1/models").json()["data"][0]["max_model_len"] == 1024
    cores = os.environ.get("VLLM_CPU_OMP_THREADS_BIND") or server.settings.cpus
    assert f"VLLM_CPU_OMP_THREADS_BIND={cores!r}" in server.logs()


def test_command_is_what_a_terminal_takes(server):
    cores, compiler, program, _serve, model, *_flags = shlex.split(server.command)
    assert cores == f"VLLM_CPU_OMP_THREADS_BIND={server.settings.cpus}"
    assert compiler == "TORCHDYNAMO_DISABLE=1"
    assert Path(program).expanduser().name == "vllm"
    assert (Path(model).expanduser() / "config.json").exists()
    assert server.key not in server.command
    assert any("made from the GGUF" in note or "hub" in note for note in server.notes)
    assert repr(server) == "Server(engine='vllm', model='smollm2-135m')"


def test_memory_is_what_the_formula_says(server):
    memory = server.memory()
    assert memory.kv_cache == 256 * MIB
    assert memory.kv_cache_tokens == 256 * MIB // (BLOCK * BYTES_PER_TOKEN) * BLOCK
    # Three processes: the interface, the engine's core, and the worker that holds weights and KV cache.
    family = psutil.Process(server.pid).children(recursive=True)
    assert len(family) >= 2
    assert memory.rss > 1 << 30


def test_metrics_count_what_was_generated_and_what_was_cached(server):
    before = server.metrics()
    for _time in range(2):
        server.openai().completions.create(
            model=NAME, prompt=LONG, max_tokens=7, temperature=0, extra_body={"ignore_eos": True}
        )
    after = server.metrics()
    assert after.generated_tokens - before.generated_tokens == 14
    cached = after.cached_tokens - before.cached_tokens
    assert cached >= BLOCK
    assert cached % BLOCK == 0, "only whole blocks are reused"
    assert after.prompt_tokens - before.prompt_tokens == 2 * _length(server, LONG) - cached
    assert (after.running, after.waiting) == (0, 0)
    assert after.tokens_per_s > 1
    assert after.raw["vllm:time_to_first_token_seconds_count"] >= 2


def _length(server, text):
    return server.http.post("/tokenize", json={"model": NAME, "prompt": text}).json()["count"]


def test_requests_beyond_the_limit_wait(server):
    # One client for all: to make one takes so long that the first answers might be done before the last are asked for.
    client = server.openai()

    def work():
        client.completions.create(
            model=NAME, prompt="Count", max_tokens=120, temperature=0, extra_body={"ignore_eos": True}
        )

    threads = [threading.Thread(target=work) for _request in range(6)]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        metrics = server.metrics()
        seen.append((metrics.running, metrics.waiting))
        time.sleep(0.1)
    assert max(running for running, _waiting in seen) == 4
    assert max(waiting for _running, waiting in seen) == 2


def test_attach_finds_out_the_engine(server):
    found = courselib.attach(server.base_url, server.key)
    assert (found.engine.name, found.model) == ("vllm", NAME)
    found.stop()
    assert server.is_running()
    for key in (None, "wrong"):
        with pytest.raises(errors.Unauthorized, match="another key"):
            courselib.attach(server.url, key)


REFUSED = {
    "prompt longer than the context": ({"prompt": LONG * 4}, errors.PromptTooLong, "context of 1024 tokens"),
    "answer longer than the context": ({"max_tokens": 5000}, errors.RequestRefused, "5000"),
    "temperature too hot": ({"temperature": 3.0}, errors.RequestRefused, "temperature"),
    "top_p of zero": ({"top_p": 0}, errors.RequestRefused, "top_p"),
    "more alternatives than allowed": ({"logprobs": True, "top_logprobs": 50}, errors.RequestRefused, "20"),
    "more stops than allowed": ({"stop": list("abcde")}, errors.RequestRefused, "stop"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_requests_that_vllm_refuses(server, name):
    options, kind, pattern = REFUSED[name]
    options = dict(options)
    messages = chat_messages(options.pop("prompt", "Hi"))
    with pytest.raises(kind, match=pattern) as caught:
        list(ChatStream(server, messages, **{"max_tokens": 4, **options}))
    assert "\n" not in caught.value.message


@pytest.fixture
def left_behind():
    """What vLLM could leave in shared memory and temporary folders."""

    def look():
        return {str(path) for pattern in ("/dev/shm/*", "/tmp/vllm*") for path in Path("/").glob(pattern[1:])}

    before = look()
    yield lambda: look() - before


def test_another_name_for_the_hubs_client_then_stopped_while_it_works(installed, left_behind):
    options = {"max_model_len": 1024, "kv_cache_memory": 64 * MIB, "block_size": 32, "enable_prefix_caching": False}
    server = courselib.launch("vllm", served_model_name=(NAME, "dummy"), **options)
    try:
        assert server.hub().chat_completion(sure.MESSAGES, max_tokens=4).usage.completion_tokens == 4
        assert server.model == NAME
        told = server.http.get("/metrics").text
        assert 'block_size="32"' in told
        assert 'enable_prefix_caching="False"' in told

        family = psutil.Process(server.pid).children(recursive=True)
        answers = []
        request = threading.Thread(target=_ask_for_long, args=(server, answers))
        request.start()
        while not server.metrics().running:
            time.sleep(0.05)
        port, begin = server.port, time.monotonic()
    finally:
        server.stop()
    assert time.monotonic() - begin < server.engine.grace_s + 3
    _gone, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    assert not is_listening(port)
    request.join(10)
    assert not request.is_alive()
    # Which of the two is a matter of a moment: the connection is cut, or vLLM sends what it has and calls it aborted.
    assert isinstance(answers[0], Exception) or answers[0].choices[0].finish_reason == "abort"
    assert not left_behind()


def _ask_for_long(server, answers):
    try:
        client = server.openai(max_retries=0)
        body = {"ignore_eos": True}
        answers.append(client.completions.create(model=NAME, prompt="Go", max_tokens=1000, extra_body=body))
    except Exception as error:
        answers.append(error)
