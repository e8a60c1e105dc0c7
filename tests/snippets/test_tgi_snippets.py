"""What learners still find on the web about TGI, each with its verdict of today.

The calls of clients run live, against the gateway, which answers as TGI does. ``{url}`` and ``{key}`` stand for its
address and its key; the rest is as people write it. Commands are read and held against the rules of TGI's own
launcher, which cannot run here.
"""

import dataclasses
import itertools
import shlex
import typing

import pytest

import courselib
from courselib.engines.tgi.engine import ENGINE, ignored
from courselib.engines.tgi.settings import TgiSettings
from courselib.engines.tgi.values import IMAGE
from courselib.errors import SettingsError
from tests.snippets.snippets import FAILS, RUNS, Snippet, check, fill_in, outcome, outcomes_elsewhere

HUB = "from huggingface_hub import InferenceClient\nclient = InferenceClient(model='{url}', token='{key}')\n"
OPENAI = "from openai import OpenAI\nclient = OpenAI(base_url='{url}/v1', api_key='{key}')\n"
RAW = (
    "import httpx\n"
    "def ask(**more):\n"
    "    body = dict(inputs='red red red red', parameters=dict(max_new_tokens=12, **more))\n"
    "    headers = dict(authorization='Bearer {key}')\n"
    "    return httpx.post('{url}/generate', json=body, headers=headers, timeout=30).json()\n"
)
MESSAGES = "messages=[dict(role='user', content='Tell me a story')]"
CLIENTS = [
    Snippet(
        "text_generation with stop_sequences",
        HUB + "client.text_generation('Tell me a story', max_new_tokens=10, temperature=0.7, top_p=0.95,\n"
        "    details=True, stop_sequences=[])",
        FAILS,
        r"TypeError: .*stop_sequences",
        HUB + "client.text_generation('Tell me a story', max_new_tokens=10, temperature=0.7, top_p=0.95,\n"
        "    details=True, stop=[], return_full_text=False)",
    ),
    Snippet(
        "text_generation, sampling",
        HUB + "r = client.text_generation('Tell me a story', max_new_tokens=20, temperature=0.8, top_p=0.95,\n"
        "    do_sample=True, repetition_penalty=1.1, details=True)\n"
        "print(r.details.finish_reason, r.details.generated_tokens == len(r.details.tokens))",
        RUNS,
        r"^(length|eos_token) True$",
    ),
    Snippet(
        "text_generation gives the prompt back, since the client no longer says that it should not",
        HUB + "print(client.text_generation('One, two, three,', max_new_tokens=3).startswith('One, two'),\n"
        "    client.text_generation('One, two, three,', max_new_tokens=3, return_full_text=False).startswith('One'))",
        RUNS,
        r"^True False$",
    ),
    Snippet(
        "text_generation is greedy where nothing says otherwise",
        HUB + "print(len({client.text_generation('Tell me', max_new_tokens=10) for _ in range(3)}))",
        RUNS,
        r"^1$",
    ),
    Snippet(
        "text_generation at the address of OpenAI's routes",
        HUB.replace("{url}", "{url}/v1") + "client.text_generation('Tell me a story', max_new_tokens=10, details=True)",
        FAILS,
        r"404",
        HUB + "client.text_generation('Tell me a story', max_new_tokens=10, details=True)",
    ),
    Snippet(
        "min_new_tokens",
        HUB + "client.text_generation('Tell me', min_new_tokens=10)",
        FAILS,
        r"TypeError: .*min_new_tokens",
    ),
    Snippet(
        "no_repeat_ngram_size",
        HUB + "client.text_generation('Tell me', no_repeat_ngram_size=3)",
        FAILS,
        r"TypeError: .*no_repeat_ngram_size",
        HUB + "client.text_generation('Tell me', max_new_tokens=5, repetition_penalty=1.2)",
    ),
    Snippet(
        "client.generate",
        HUB + "client.generate('Tell me', no_repeat_ngram_size=3)",
        FAILS,
        r"AttributeError: .*generate",
    ),
    Snippet(
        "both sent past the client: ignored without a word",
        RAW + "print(ask() == ask(no_repeat_ngram_size=2, min_new_tokens=12))",
        RUNS,
        r"^True$",
    ),
    Snippet(
        "stop_sequences sent past the client: ignored; its name is stop",
        RAW.replace("red red red red", "One, two, three, four,")
        + "print(ask() == ask(stop_sequences=[' six']), ask() == ask(stop=[' six']))",
        RUNS,
        r"^True False$",
    ),
    Snippet(
        "temperature of zero",
        HUB + "client.text_generation('Tell me', max_new_tokens=5, temperature=0.0)",
        FAILS,
        r"`temperature` must be strictly positive",
        HUB + "client.text_generation('Tell me', max_new_tokens=5)",
    ),
    Snippet(
        "top_p of one",
        OPENAI + f"client.chat.completions.create(model='tgi', max_tokens=5, top_p=1.0, {MESSAGES})",
        FAILS,
        r"UnprocessableEntityError: .*422",
        OPENAI + f"client.chat.completions.create(model='tgi', max_tokens=5, {MESSAGES})",
    ),
    Snippet(
        "hub, chat",
        HUB + f"r = client.chat_completion(max_tokens=20, temperature=0.7, top_p=0.95, {MESSAGES})\n"
        "print(r.object, r.model)",
        RUNS,
        r"^chat.completion dummy$",
    ),
    Snippet(
        "openai, chat",
        OPENAI + "r = client.chat.completions.create(model='HuggingFaceTB/SmolLM2-360M-Instruct',\n"
        f"    max_tokens=20, temperature=0.7, top_p=0.95, {MESSAGES})\n"
        "print(r.usage.completion_tokens)",
        RUNS,
        r"^\d+$",
    ),
    Snippet(
        "openai, completion; of its penalties one is ignored",
        OPENAI + "def ask(**more):\n"
        "    r = client.completions.create(model='tgi', prompt='red red', max_tokens=12, temperature=0, **more)\n"
        "    return r.choices[0].text\n"
        "print(ask() == ask(presence_penalty=2.0))",
        RUNS,
        r"^True$",
    ),
    Snippet(
        "top_k in chat, sent past the client: ignored",
        HUB + f"r = client.chat_completion(max_tokens=5, extra_body=dict(top_k=-5), {MESSAGES})\n"
        "print(r.usage.completion_tokens)",
        RUNS,
        r"^\d$",
    ),
    Snippet(
        "openai, logit_bias as that client sends it",
        OPENAI + f"client.chat.completions.create(model='tgi', max_tokens=5, logit_bias={{'1234': 5}}, {MESSAGES})",
        FAILS,
        r"UnprocessableEntityError: .*422",
    ),
    Snippet(
        "openai, several answers: one comes",
        OPENAI + f"r = client.chat.completions.create(model='tgi', max_tokens=5, n=2, {MESSAGES})\n"
        "print(len(r.choices))",
        RUNS,
        r"^1$",
    ),
    Snippet(
        "min_p, sent past the client: ignored",
        RAW + "print(ask(min_p=7.0)['generated_text'] == ask()['generated_text'])",
        RUNS,
        r"^True$",
    ),
    Snippet(
        "an address without a host",
        "from huggingface_hub import InferenceClient\n"
        "InferenceClient(model='https://:8080', token='{key}').text_generation('Hi', max_new_tokens=5)",
        FAILS,
        r"UnsupportedProtocol|InvalidURL|missing an 'http|No host",
    ),
    Snippet(
        "get_endpoint_info",
        HUB + "client.get_endpoint_info()",
        FAILS,
        r"ValueError: .*not supported",
        HUB.replace("token=", "provider='hf-inference', token=") + "client.get_endpoint_info()",
    ),
    Snippet(
        "health_check",
        HUB + "client.health_check()",
        FAILS,
        r"ValueError: .*not supported",
        HUB.replace("token=", "provider='hf-inference', token=") + "assert client.health_check()",
    ),
]

OLDER = (
    "from text_generation import Client\n"
    "client = Client('{url}', headers=dict(authorization='Bearer {key}'), timeout=60)\n"
)
# The client that tutorials on TGI use; it wants an older huggingface_hub than the course has.
OLDER_CLIENT = [
    Snippet(
        "Client.generate, all at once",
        OLDER
        + "r = client.generate('Write a creative story', max_new_tokens=10, temperature=0.8, top_p=0.95, top_k=50,\n"
        "    repetition_penalty=1.1)\n"
        "print(r.details.finish_reason.value, r.generated_text.startswith('Write'))",
        RUNS,
        r"^(length|eos_token) False$",
    ),
    Snippet(
        "Client.generate, stop_sequences",
        OLDER + "r = client.generate('One, two, three, four,', max_new_tokens=20, stop_sequences=[' six'])\n"
        "print(r.generated_text.endswith(' six'))",
        RUNS,
        r"^True$",
    ),
    Snippet(
        "Client.generate, no_repeat_ngram_size",
        OLDER + "client.generate('Write a varied text', no_repeat_ngram_size=3)",
        FAILS,
        r"TypeError: .*no_repeat_ngram_size",
    ),
    Snippet(
        "Client.generate, min_new_tokens",
        OLDER + "client.generate('Write', min_new_tokens=10)",
        FAILS,
        r"TypeError: .*min_new_tokens",
    ),
    Snippet(
        "Client.generate_stream",
        OLDER + "parts = list(client.generate_stream('One, two, three,', max_new_tokens=4))\n"
        "print(''.join(part.token.text for part in parts), '|', parts[-1].generated_text)",
        RUNS,
        r"^four, five, \|\s+four, five,$",
    ),
    Snippet(
        "Client.chat",
        OLDER + "r = client.chat([dict(role='user', content='Hi')], max_tokens=4)\n"
        "print(r.choices[0].finish_reason, r.usage['completion_tokens'])",
        RUNS,
        r"^length 4$",
    ),
    Snippet(
        "Client.chat as a stream",
        OLDER + "list(client.chat([dict(role='user', content='Hi')], max_tokens=4, stream=True))",
        FAILS,
        r"AttributeError: .*'status'",
    ),
]

DOCKER = "docker run --gpus all --shm-size 1g -p 8080:80 -v ~/.cache/huggingface:/data "
OLD_IMAGE = "ghcr.io/huggingface/text-generation-inference:latest"
MODEL = " --model-id HuggingFaceTB/SmolLM2-360M-Instruct"
BATCH = {"max_batch_total_tokens", "waiting_served_ratio"}
# The command's own words, and the settings in it that TGI takes and ignores; or why TGI refuses it.
COMMANDS = {
    "the plain one": (DOCKER + OLD_IMAGE + MODEL, set()),
    "with tuned limits": (
        DOCKER + OLD_IMAGE + MODEL + " --max-total-tokens 4096 --max-input-length 3072"
        " --max-batch-total-tokens 8192 --waiting-served-ratio 1.2",
        BATCH,
    ),
    "to save memory, and does not": (
        DOCKER + OLD_IMAGE + MODEL + " --max-batch-total-tokens 8192 --max-input-length 4096",
        {"max_batch_total_tokens"},
    ),
    "to save memory, and does": (
        DOCKER + IMAGE + MODEL + " --max-input-tokens 3072 --max-total-tokens 4096"
        " --max-batch-prefill-tokens 2048 --cuda-memory-fraction 0.5 --usage-stats off",
        set(),
    ),
    "on a CPU": (
        DOCKER.replace("--gpus all ", "") + f"{IMAGE}-intel-cpu" + MODEL + " --cuda-graphs 0",
        {"cuda_graphs"},
    ),
    "a prompt as long as all": (
        DOCKER + OLD_IMAGE + MODEL + " --max-input-length 4096 --max-total-tokens 4096",
        "`max_input_tokens`(4096) must be < `max_total_tokens`(4096)",
    ),
    "both names of one limit": (
        DOCKER + OLD_IMAGE + MODEL + " --max-input-length 3072 --max-input-tokens 3072",
        "Please define only `max_input_tokens`",
    ),
    "more for a request than for its batch": (
        DOCKER + OLD_IMAGE + MODEL + " --max-total-tokens 9000 --max-batch-total-tokens 8192",
        "`max_total_tokens` must be <= `max_batch_total_tokens`. Given: 9000 and 8192",
    ),
}
# Docker's own options that the commands above use, and the settings for them; the port is the launcher's business.
DOCKERS = {"--gpus": "gpus", "--shm-size": "shm_size", "-v": "volume"}


def settings_of(command: str) -> TgiSettings:
    """A command's words as our settings: Docker's options before the image, TGI's flags behind it."""
    words = shlex.split(command)
    at = next(index for index, word in enumerate(words) if word.startswith("ghcr.io/"))
    before, after = words[2:at], words[at + 1 :]
    given = {"image": words[at], "binary": "docker"}
    for name, value in zip(before[::2], before[1::2], strict=True):
        if name in DOCKERS:
            given[DOCKERS[name]] = value.removesuffix(":/data")
    hints = typing.get_type_hints(TgiSettings)
    for flag, value in zip(after[::2], after[1::2], strict=True):
        name = "model" if flag == "--model-id" else flag.removeprefix("--").replace("-", "_")
        kind = next((kind for kind in (int, float) if kind in typing.get_args(hints[name])), str)
        given[name] = kind(value)
    return TgiSettings(**given)


@pytest.fixture(scope="module")
def places():
    with courselib.launch("tgi-gateway", context=512) as gateway:
        yield {"{url}": gateway.url, "{key}": gateway.key}


@pytest.mark.engine
@pytest.mark.parametrize("snippet", CLIENTS, ids=lambda snippet: snippet.name)
def test_client(snippet, places):
    check(snippet, lambda code: outcome(fill_in(code, places)))


@pytest.mark.engine
@pytest.mark.parametrize("snippet", OLDER_CLIENT, ids=lambda snippet: snippet.name)
def test_older_client(snippet, places, text_generation_python):
    check(snippet, lambda code: outcomes_elsewhere(text_generation_python, [fill_in(code, places)])[0])


@pytest.mark.parametrize("name", COMMANDS)
def test_command(name):
    command, verdict = COMMANDS[name]
    if isinstance(verdict, str):
        with pytest.raises(SettingsError) as caught:
            settings_of(command)
        assert verdict in caught.value.message
        return
    settings = settings_of(command)
    assert set(ignored(settings)) == verdict
    # What the course types for it has the same flags, and the same image.
    made = ENGINE.command(dataclasses.replace(settings, usage_stats="off"), port=8080, key="k").shown
    flags = command.partition(settings.image)[2].split()
    pairs = list(zip(flags[::2], flags[1::2], strict=True))
    assert set(pairs) <= set(itertools.pairwise(made))
    assert settings.image in made
