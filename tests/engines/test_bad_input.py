"""Bad input against the real engine: each gives one sentence that says what and how to mend it, and leaves nothing."""

import importlib
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

import courselib
from courselib import errors, models
from courselib.answers.stream import ChatStream, chat_messages
from courselib.processes.ports import free_port
from tests.engines.conftest import engines_alive
from tests.ports import taken_port

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def gguf():
    return models.resolve("smollm2-135m")


@pytest.fixture(scope="module")
def files(tmp_path_factory, gguf):
    """Files that are no model, by what is wrong with them."""
    folder = tmp_path_factory.mktemp("files")
    content = gguf.read_bytes()
    made = {
        "wrong_magic": b"GGML" + content[4:4096],
        "empty": b"",
        "text": b"GGUF is what this file begins with, but it is a text. " * 100,
        "truncated": content[: len(content) // 2],
        "header_only": content[:5000],
        "no_tensors": b"GGUF" + struct.pack("<IQQ", 3, 0, 0),
        "future_version": b"GGUF" + struct.pack("<IQQ", 99, 0, 0) + bytes(64),
        "unknown_architecture": _gguf_of_unknown_architecture(),
    }
    for name, data in made.items():
        (folder / f"{name}.gguf").write_bytes(data)
    (folder / "folder").mkdir()
    (folder / "folder" / "inside.gguf").write_bytes(content[:100])
    return folder


def _gguf_of_unknown_architecture():
    def text(value):
        return struct.pack("<Q", len(value)) + value

    entry = text(b"general.architecture") + struct.pack("<I", 8) + text(b"nosuchmodel")
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry + bytes(64)


FILES = {
    "missing": (errors.ModelNotFound, "no file .*missing"),
    "wrong_magic": (errors.ModelCorrupt, "not a GGUF file"),
    "empty": (errors.ModelCorrupt, "header .* cannot be read|not a GGUF file"),
    "text": (errors.ModelCorrupt, "cannot read"),
    "truncated": (errors.ModelCorrupt, "cut short .* download it again"),
    "header_only": (errors.ModelCorrupt, "cannot be read|cut short"),
    "no_tensors": (errors.ModelCorrupt, "cut short"),
    "future_version": (errors.ModelCorrupt, "version 99, .* cannot read"),
    "unknown_architecture": (errors.EngineError, "nosuchmodel"),
}

SETTINGS = {
    "context zero": ({"context": 0}, errors.SettingsError, "context is 0; choose a number from 1"),
    "context negative": ({"context": -5}, errors.SettingsError, "context is -5"),
    "context a text": ({"context": "2048"}, errors.SettingsError, "whole number"),
    "context larger than memory": ({"context": 40_000_000}, errors.OutOfMemory, "lower context to"),
    "context beyond 32 bits": ({"context": 2**40}, errors.SettingsError, "choose a number"),
    "threads zero": ({"threads": 0}, errors.SettingsError, "threads is 0"),
    "parallel zero": ({"parallel": 0}, errors.SettingsError, "parallel is 0"),
    "more slots than tokens": ({"parallel": 9, "context": 8}, errors.SettingsError, "raise context"),
    "ubatch above batch": ({"ubatch": 1024, "batch": 512}, errors.SettingsError, "lower ubatch"),
    "gpu_layers negative": ({"gpu_layers": -2}, errors.SettingsError, "gpu_layers is -2"),
    "unknown cache type": ({"cache_type_k": "q2_K"}, errors.SettingsError, "choose one of f32"),
    "quantised V without FlashAttention": (
        {"flash_attn": "off", "cache_type_v": "q8_0"}, errors.SettingsError, "needs FlashAttention",
    ),
    "unknown flash_attn": ({"flash_attn": True}, errors.SettingsError, "on, off, auto"),
    "port out of range": ({"port": 70000}, errors.SettingsError, "1 to 65535"),
    "port zero": ({"port": 0}, errors.SettingsError, "1 to 65535"),
    "host that is none": ({"host": "no.such.host.invalid"}, errors.SettingsError, "not an address"),
    "host of another machine": ({"host": "203.0.113.7"}, errors.SettingsError, "not an address of this machine"),
    "unknown setting": ({"contexts": 1}, errors.SettingsError, "Did you mean 'context'"),
    "unknown model": ({"model": "smollm2-135"}, errors.ModelNotFound, "Did you mean smollm2-135m"),
    "no llama-server": ({"binary": "no-llama-server"}, errors.EngineMissing, "leave binary out"),
    "model with a null byte": ({"model": "a\0b.gguf"}, errors.ModelNotFound, "no file"),
    "hub without network": ({"model": "owner/repo:file.gguf"}, errors.DownloadFailed, "Check the network"),
}  # fmt: skip


def refused(kind, pattern, call):
    """The error a call gives: of that kind, one short sentence or two, and nothing left running."""
    before = engines_alive()
    with pytest.raises(kind) as caught:
        call()
    message = caught.value.message
    assert re.search(pattern, message), message
    assert message.endswith((".", "?", "hf auth login", "http://127.0.0.1:8080.")) or "pip install" in message, message
    assert len(message) < 320
    assert "\n" not in message
    assert engines_alive() <= before


@pytest.mark.parametrize("name", FILES)
def test_bad_file(name, files):
    kind, pattern = FILES[name]
    refused(kind, pattern, lambda: courselib.launch("llama.cpp", model=str(files / f"{name}.gguf")))


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_setting(name, monkeypatch):
    settings, kind, pattern = SETTINGS[name]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    refused(kind, pattern, lambda: courselib.launch("llama.cpp", **settings))


def test_folder_names_the_file_inside(files):
    refused(errors.ModelNotFound, "inside.gguf", lambda: courselib.launch(model=str(files / "folder")))


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_no_permission():
    # Directly below /tmp, where others may look; pytest's own folders are closed to them.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "secret.gguf"
        path.write_bytes(b"GGUF")
        path.chmod(0)
        if os.geteuid() == 0:  # root may read everything: ask as somebody else
            # The modules must be loaded before the change of user, as they may lie where others cannot read.
            code = (
                "import os, sys\nfrom courselib.models.resolve import _local_file\n"
                "os.setgid(65534); os.setuid(65534)\n"
                "try: _local_file(sys.argv[1])\nexcept Exception as e: print(type(e).__name__, e)"
            )
            done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
            assert "ModelNotFound" in done.stdout, done.stdout + done.stderr
            assert "chmod" in done.stdout
        else:
            refused(errors.ModelNotFound, "may not be read", lambda: courselib.launch(model=str(path)))


def test_unknown_engine():
    refused(errors.SettingsError, "Did you mean 'llama.cpp'", lambda: courselib.launch("llamacpp"))


def test_port_taken():
    with taken_port() as port:
        refused(errors.PortTaken, f"{port}.* in use", lambda: courselib.launch(port=port))


@pytest.mark.slow
def test_a_free_port_that_is_taken_meanwhile_is_replaced_once(monkeypatch):
    launching = importlib.import_module("courselib.engines.launcher")  # the package has a function of this name
    with taken_port() as port:
        found = iter([port, free_port()])
        monkeypatch.setattr(launching, "free_port", lambda _host: next(found))
        with courselib.launch(context=512) as running:
            assert running.port != port
        monkeypatch.setattr(launching, "free_port", lambda _host: port)
        refused(errors.PortTaken, f"{port}.* in use", lambda: courselib.launch(context=512))


def test_start_timeout():
    refused(errors.StartTimeout, "timeout_s", lambda: courselib.launch(timeout_s=0.05))


def test_attach_to_nobody_and_nonsense(server):
    refused(errors.Unreachable, "No server answers", lambda: courselib.attach("http://127.0.0.1:9"))
    refused(errors.SettingsError, "not the address of a server", lambda: courselib.attach("ftp://127.0.0.1"))
    refused(errors.Unauthorized, "another key", lambda: courselib.attach(server.url, "wrong"))
    refused(errors.Unauthorized, "another key", lambda: courselib.attach(server.url))


def stream(server, prompt, **options):
    return list(ChatStream(server, chat_messages(prompt), **options))


def test_prompt_longer_than_the_context(server):
    refused(errors.PromptTooLong, "context holds 1024", lambda: stream(server, "word " * 3000, max_tokens=5))


def test_refused_request(server):
    refused(errors.RequestRefused, "refused the request", lambda: stream(server, "Hi", temperature="hot"))


def test_invalid_utf8_on_the_wire_leaves_the_server_well(server):
    answer = server.http.post(
        "/v1/completions",
        content=b'{"prompt": "\xff\xfe", "max_tokens": 1}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in (400, 500)
    server.check()


def test_wrong_key_in_mid_session(server):
    import copy

    other = copy.copy(server)
    other.__dict__.pop("http", None)
    other.key = "wrong"
    refused(errors.Unauthorized, "another key", lambda: stream(other, "Hi"))


def test_engine_dies_while_streaming():
    server = courselib.launch("llama.cpp", context=2048)
    running = ChatStream(
        server, chat_messages("Tell me a long story"), max_tokens=1500, extra_body={"ignore_eos": True}
    )
    tokens = iter(running)
    next(tokens)
    threading.Timer(0.2, os.kill, (server.pid, 9)).start()
    with pytest.raises(errors.StreamBroken, match="start it again"):
        list(tokens)
    server.stop()


def test_web_pages_of_others_may_not_call(server):
    answer = server.http.get("/v1/models", headers={"Origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
