"""Settings and command: pure, one golden line for each setting."""

import pytest

from courselib.engines.tgi_gateway import ENGINE, PreparedTgiGateway, TgiGatewaySettings
from courselib.errors import EngineDied, ModelNotFound, PortTaken, SettingsError
from courselib.gateway.__main__ import limits_of, parser
from tests.engines.golden import check_none_forgotten

BASE = {"model": "m.gguf", "served_model_name": "m", "threads": 1}


def flags(**settings):
    return ENGINE.command(PreparedTgiGateway(**{**BASE, **settings}), port=8080, key="secret").shown[3:]


def test_whole_command():
    command = ENGINE.command(PreparedTgiGateway(**BASE), port=8080, key="secret")
    expected = (
        "python -m courselib.gateway --model-id m.gguf --served-model-name m --hostname 127.0.0.1 --port 8080"
        " --max-input-tokens 4095 --max-total-tokens 4096 --max-batch-total-tokens 4096 --max-batch-size 4"
        " --max-concurrent-requests 128 --max-best-of 2 --max-stop-sequences 4 --max-top-n-tokens 5"
        " --max-client-batch-size 4 --threads 1"
    )
    assert command.shown == expected.split()
    assert command.environment == {"API_KEY": "secret"}
    assert "secret" not in " ".join(command.run)


GOLDEN = {
    "model": ("x.gguf", {"--model-id": "x.gguf"}),
    "served_model_name": ("x", {"--served-model-name": "x"}),
    "host": ("0.0.0.0", {"--hostname": "0.0.0.0"}),
    "context": (64, {"--max-batch-total-tokens": "64", "--max-total-tokens": "64", "--max-input-tokens": "63"}),
    "max_total_tokens": (100, {"--max-total-tokens": "100", "--max-input-tokens": "99"}),
    "max_input_tokens": (50, {"--max-input-tokens": "50"}),
    "max_batch_size": (2, {"--max-batch-size": "2"}),
    "max_concurrent_requests": (1, {"--max-concurrent-requests": "1"}),
    "max_best_of": (1, {"--max-best-of": "1"}),
    "max_stop_sequences": (0, {"--max-stop-sequences": "0"}),
    "max_top_n_tokens": (0, {"--max-top-n-tokens": "0"}),
    "max_client_batch_size": (8, {"--max-client-batch-size": "8"}),
    "threads": (3, {"--threads": "3"}),
    "gpu_layers": (0, {"--gpu-layers": "0"}),
}


def pairs(words):
    return dict(zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize("name", GOLDEN)
def test_each_setting_changes_its_flags_and_nothing_else(name):
    value, expected = GOLDEN[name]
    assert pairs(flags(**{name: value})) == {**pairs(flags()), **expected}


def test_no_setting_is_forgotten():
    check_none_forgotten(TgiGatewaySettings, GOLDEN, {"port", "api_key"})


def test_the_program_takes_every_flag_we_build():
    options = parser().parse_args(flags(gpu_layers=1, max_total_tokens=100, max_best_of=3))
    limits = limits_of(options)
    assert (limits.max_total_tokens, limits.max_input_tokens, limits.max_best_of) == (100, 99, 3)
    assert limits.max_batch_total_tokens == 4096


def test_the_programs_own_defaults_are_tgis():
    limits = limits_of(parser().parse_args(["--model-id", "m"]))
    assert (limits.max_input_tokens, limits.max_batch_total_tokens) == (4095, 4096)
    assert (limits.max_concurrent_requests, limits.payload_limit) == (128, 2_000_000)


REFUSED = [
    ({"max_total_tokens": 5000}, r"`max_total_tokens` must be <= `max_batch_total_tokens`. Given: 5000 and 4096;"),
    ({"max_input_tokens": 4096}, r"`max_input_tokens`\(4096\) must be < `max_total_tokens`\(4096\)"),
    ({"max_total_tokens": 9, "max_input_tokens": 9}, r"`max_input_tokens`\(9\) must be < `max_total_tokens`\(9\)"),
    ({"context": 1}, "context is 1; choose a number from 2"),
    ({"context": "big"}, "context is 'big'; give a whole number"),
    ({"max_best_of": 0}, "max_best_of is 0; choose"),
    ({"max_batch_size": True}, "max_batch_size is True"),
    ({"max_concurrent_requests": -1}, "max_concurrent_requests is -1"),
    ({"threads": 0}, "threads is 0"),
]


@pytest.mark.parametrize(("settings", "words"), REFUSED)
def test_refused(settings, words):
    with pytest.raises(SettingsError, match=words):
        TgiGatewaySettings(**settings)


def test_more_than_the_model_was_trained_for():
    with pytest.raises(SettingsError, match="trained for 8192"):
        ENGINE.prepare(TgiGatewaySettings(context=9000, max_total_tokens=9000))
    assert ENGINE.prepare(TgiGatewaySettings(context=9000)).max_total_tokens == 8192


def test_no_such_model():
    with pytest.raises(ModelNotFound):
        ENGINE.prepare(TgiGatewaySettings(model="no-such-model"))


CAUSES = [
    (
        "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8080): address already in use",
        PortTaken,
        "Port 8080 is in use",
    ),
    ("__main__.py: error: unrecognized arguments: --new", EngineDied, "refuses an argument"),
    ("something else", EngineDied, "something else"),
]


@pytest.mark.parametrize(("log", "error", "words"), CAUSES)
def test_causes(log, error, words):
    found = ENGINE.diagnose(log, 1, "command")
    assert isinstance(found, error)
    assert words in found.message


@pytest.mark.parametrize(("asked", "given"), [(3, "3"), (None, "5")])
def test_a_gateway_started_by_hand_leaves_a_core_of_those_allowed(monkeypatch, asked, given):
    from courselib.gateway import llama_process

    started = []
    monkeypatch.setattr(llama_process.subprocess, "Popen", lambda command, **_options: started.append(command))
    monkeypatch.setattr("courselib.engines.llamacpp.engine.fast_cores", lambda: 6)
    limits = limits_of(parser().parse_args(["--model-id", "m.gguf"]))
    llama_process.start("m.gguf", limits, threads=asked, gpu_layers=None)
    (command,) = started
    assert command[command.index("--threads") + 1] == given
