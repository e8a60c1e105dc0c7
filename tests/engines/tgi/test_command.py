"""The command is a pure function of the settings: one golden line for each setting."""

import re
import shlex
from pathlib import Path

import pytest

from courselib.engines.tgi.engine import ENGINE, LAUNCHER
from courselib.engines.tgi.settings import TgiSettings
from courselib.engines.tgi.values import IMAGE
from courselib.models import CATALOGUE
from tests.engines.golden import check_none_forgotten

BASE = {"model": "owner/name", "binary": "docker", "gpus": "all"}
GOLDEN_DOCKER = (
    "docker run --rm --name courselib-tgi-8080 --gpus all --shm-size 1g --publish 127.0.0.1:8080:80"
    f" --volume tgi-data:/data --env API_KEY {IMAGE} --model-id owner/name --usage-stats off"
)
GOLDEN_LAUNCHER = (
    f"{LAUNCHER} --model-id owner/name --hostname 127.0.0.1 --port 8080 --prometheus-port 9000 --usage-stats off"
)


def command(**settings):
    return ENGINE.command(TgiSettings(**{**BASE, **settings}), port=8080, key="secret")


def test_whole_commands():
    assert command().line() == GOLDEN_DOCKER
    assert command(binary=LAUNCHER).line() == GOLDEN_LAUNCHER


def test_the_lesson_shows_what_the_launcher_builds():
    lesson = (Path(__file__).parents[3] / "lessons/12_tgi.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^docker run --rm .+?(?=^```)", lesson, re.DOTALL | re.MULTILINE)
    words = shlex.split(shown.replace("\\\n", " "))
    built = command(
        model="HuggingFaceTB/SmolLM2-360M-Instruct",
        max_input_tokens=3072,
        max_total_tokens=4096,
        max_batch_prefill_tokens=2048,
        cuda_memory_fraction=0.5,
    ).shown
    assert words[words.index(IMAGE) :] == list(built)[built.index(IMAGE) :]


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda model: model.name)
def test_the_courses_models_are_taken_at_a_fixed_commit(model):
    assert f" --revision {model.hf_revision} " in command(model=model.hf_repo).line()
    assert " --revision main " in command(model=model.hf_repo, revision="main").line()


# A setting, its value, and the words that it adds to the command.
FLAGS = {
    "revision": ("refs/pr/2", "--revision refs/pr/2"),
    "max_input_tokens": (3072, "--max-input-tokens 3072"),
    "max_input_length": (3072, "--max-input-length 3072"),
    "max_total_tokens": (4096, "--max-total-tokens 4096"),
    "max_batch_prefill_tokens": (2048, "--max-batch-prefill-tokens 2048"),
    "max_batch_total_tokens": (8192, "--max-batch-total-tokens 8192"),
    "max_batch_size": (4, "--max-batch-size 4"),
    "waiting_served_ratio": (1.2, "--waiting-served-ratio 1.2"),
    "max_waiting_tokens": (20, "--max-waiting-tokens 20"),
    "cuda_memory_fraction": (0.5, "--cuda-memory-fraction 0.5"),
    "quantize": ("bitsandbytes-nf4", "--quantize bitsandbytes-nf4"),
    "dtype": ("bfloat16", "--dtype bfloat16"),
    "kv_cache_dtype": ("fp8_e5m2", "--kv-cache-dtype fp8_e5m2"),
    "sharded": (True, "--sharded true"),
    "num_shard": (2, "--num-shard 2"),
    "cuda_graphs": ("0", "--cuda-graphs 0"),
    "max_concurrent_requests": (16, "--max-concurrent-requests 16"),
    "max_best_of": (3, "--max-best-of 3"),
    "max_stop_sequences": (8, "--max-stop-sequences 8"),
    "max_top_n_tokens": (6, "--max-top-n-tokens 6"),
    "max_client_batch_size": (2, "--max-client-batch-size 2"),
    "validation_workers": (1, "--validation-workers 1"),
    "usage_stats": ("no-stack", "--usage-stats no-stack"),
    "model": ("other/model", "--model-id other/model"),
}
DOCKER = {
    "host": ("0.0.0.0", "--publish 0.0.0.0:8080:80"),
    "gpus": ("device=0", "--gpus device=0"),
    "shm_size": ("2g", "--shm-size 2g"),
    "volume": ("other-data", "--volume other-data:/data"),
    "container": ("mine", "--name mine"),
    "token": ("hf_x", "--env HF_TOKEN"),
    "prefill_chunking": (False, "--env PREFILL_CHUNKING=0"),
    "image": ("my/tgi:1", "my/tgi:1"),
}
ELSEWHERE = {"port": "argument of command()", "api_key": "environment", "binary": "program", "prometheus_port": "below"}


@pytest.mark.parametrize("name", FLAGS | DOCKER)
def test_each_setting_changes_its_words_and_nothing_else(name):
    value, words = (FLAGS | DOCKER)[name]
    plain, changed = command().shown, command(**{name: value}).shown
    assert f" {words} " in f" {shlex.join(changed)} "
    assert set(changed) - set(plain) <= set(words.split())
    assert set(plain) - set(changed) <= set(_replaced(plain, words))


def _replaced(plain, words):
    """What a changed value takes the place of."""
    first, *rest = words.split()
    return [plain[plain.index(first) + 1]] if rest and first in plain else [IMAGE]


@pytest.mark.parametrize("name", FLAGS)
def test_the_launcher_gets_the_same_flags(name):
    value, words = FLAGS[name]
    assert f" {words} " in f" {command(binary=LAUNCHER, **{name: value}).line()} "


def test_no_setting_is_forgotten():
    check_none_forgotten(TgiSettings, FLAGS, DOCKER, ELSEWHERE)


def test_launcher_host_and_ports():
    line = command(binary=LAUNCHER, host="::1", prometheus_port=9100).line()
    assert "--hostname ::1 --port 8080 --prometheus-port 9100" in line


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_docker_gets_addresses_in_digits(host):
    published = {"::1": "[::1]:8080:80", "localhost": "127.0.0.1:8080:80"}[host]
    assert published in command(host=host).shown


@pytest.mark.parametrize("binary", ["docker", LAUNCHER])
def test_secrets_are_in_the_environment_only(binary):
    made = command(binary=binary, token="hf_secret")
    assert made.environment == {"API_KEY": "secret", "HF_TOKEN": "hf_secret"}
    assert "secret" not in " ".join(made.run + made.shown)
    assert "hf_secret" not in repr(TgiSettings(token="hf_secret"))


def test_chunking_off_without_docker_is_in_the_environment():
    assert command(binary=LAUNCHER, prefill_chunking=False).environment["PREFILL_CHUNKING"] == "0"


def test_what_runs_is_what_is_shown():
    made = command()
    assert made.run[-len(made.shown) :] == made.shown


def test_a_folder_is_mounted_read_only():
    line = command(model="/home/me/my-model").line()
    assert "--mount type=bind,source=/home/me/my-model,target=/models/my-model,readonly" in line
    assert line.endswith("--model-id /models/my-model --usage-stats off")


def test_the_cpu_image_keeps_models_where_the_others_do():
    line = command(image=f"{IMAGE}-intel-cpu", gpus=None).line()
    assert "--env HUGGINGFACE_HUB_CACHE=/data/hub" in line
    assert "--gpus" not in line


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ("~/models", "--mount type=bind,source={home}/models,target=/data"),
        ("./data", "--mount type=bind,source={here}/data,target=/data"),
        ("/srv/a:b", "--mount type=bind,source=/srv/a:b,target=/data"),
        ("/srv/a,b", '--mount type=bind,"source=/srv/a,b",target=/data'),
        ("v", "--volume v:/data"),
    ],
)
def test_volumes_by_name_and_by_folder(volume, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    expected = words.format(home="/home/somebody", here=tmp_path)
    assert expected in " ".join(command(volume=volume).shown)
