"""The command is a pure function of the settings: one golden line for each setting."""

import pytest

from courselib.engines.llamacpp.engine import ENGINE
from courselib.engines.llamacpp.program import parser
from courselib.engines.llamacpp.settings import LlamaCppSettings, PreparedLlamaCpp
from tests.engines.golden import check_golden, check_none_forgotten

BASE = {"model": "m.gguf", "alias": "m", "threads": 2}


def flags(**settings):
    command = ENGINE.command(PreparedLlamaCpp(**{**BASE, **settings}), port=8080, key="secret")
    return command.shown[2:]


def test_whole_command():
    expected = (
        "--model m.gguf --alias m --host 127.0.0.1 --port 8080 --ctx-size 4096 --parallel 1 --threads 2"
        " --batch-size 2048 --ubatch-size 512 --cache-type-k f16 --cache-type-v f16 --flash-attn auto --metrics"
        " --cors-origins localhost --log-verbosity 4"
    )
    assert flags() == expected.split()


GOLDEN = {
    "model": ("x.gguf", ["--model", "x.gguf"]),
    "alias": ("mine", ["--alias", "mine"]),
    "host": ("0.0.0.0", ["--host", "0.0.0.0"]),
    "context": (512, ["--ctx-size", "512"]),
    "parallel": (4, ["--parallel", "4"]),
    "kv_unified": (True, ["--kv-unified"]),
    "threads": (3, ["--threads", "3"]),
    "batch": (1024, ["--batch-size", "1024"]),
    "ubatch": (64, ["--ubatch-size", "64"]),
    "gpu_layers": (20, ["--gpu-layers", "20"]),
    "mlock": (True, ["--load-mode", "mmap+mlock"]),
    "cont_batching": (False, ["--no-cont-batching"]),
    "cache_type_k": ("q8_0", ["--cache-type-k", "q8_0"]),
    "cache_type_v": ("q4_0", ["--cache-type-v", "q4_0"]),
    "cache_ram": (0, ["--cache-ram", "0"]),
    "flash_attn": ("on", ["--flash-attn", "on"]),
}
ELSEWHERE = {"port": "argument of command()", "api_key": "environment", "binary": "program", "metrics": "tested below"}


@pytest.mark.parametrize("name", GOLDEN)
def test_each_setting_changes_its_flag_and_nothing_else(name):
    check_golden(flags, name, *GOLDEN[name])


def test_no_setting_is_forgotten():
    check_none_forgotten(LlamaCppSettings, GOLDEN, ELSEWHERE)


def test_metrics_off():
    assert "--metrics" not in flags(metrics=False)


def test_key_is_in_the_environment_only():
    command = ENGINE.command(PreparedLlamaCpp(**BASE), port=8080, key="secret")
    assert command.environment == {"LLAMA_API_KEY": "secret"}
    assert "secret" not in " ".join(command.run + command.shown)


def test_the_wheel_takes_every_flag_we_build():
    settings = PreparedLlamaCpp(**BASE, gpu_layers=1, mlock=True, cont_batching=False, cache_ram=256)
    options = parser().parse_args(ENGINE.command(settings, port=8080, key="k").shown[2:])
    assert (options.ctx_size, options.load_mode, options.no_cont_batching) == (4096, "mmap+mlock", True)
    assert options.cache_ram == 256


@pytest.mark.parametrize(
    ("chosen", "tokens"),
    [
        ({"context": 4096}, 4096),
        ({"context": 4096, "parallel": 4}, 1024),
        ({"context": 4096, "parallel": 4, "kv_unified": True}, 4096),
        ({"context": 513, "parallel": 2}, 512),  # 768 cells, shared out and rounded once more
        ({"context": 100}, 256),
    ],
    ids=str,
)
def test_the_library_gets_the_context_of_a_slot_in_whole_rows_of_cells(chosen, tokens):
    assert ENGINE.library_options(PreparedLlamaCpp(**BASE | chosen)) == {"n_ctx": tokens}
