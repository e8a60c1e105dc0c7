"""What would not fit is refused before a start, with a context that would; where nothing is known, a note."""

import pytest

from courselib.engines.llamacpp import engine as engine_module
from courselib.engines.llamacpp.checks import check_memory, kv_cache_bytes
from courselib.engines.llamacpp.engine import ENGINE
from courselib.engines.llamacpp.settings import LlamaCppSettings
from courselib.engines.tgi_gateway import ENGINE as GATEWAY
from courselib.engines.tgi_gateway import TgiGatewaySettings
from courselib.errors import OutOfMemory
from courselib.machine import Gpu
from courselib.memory import from_gguf
from tests.memory.headers import header
from tests.models.small_gguf import FACTS, small_gguf


def test_what_does_not_fit_is_refused_with_a_context_that_does(tmp_path):
    heads = {"attention.head_count_kv": 4, "attention.key_length": 256, "attention.value_length": 256}
    gemma = header(tmp_path, "gemma3", layers=34, **heads, **{"attention.sliding_window": 1024})
    asked = LlamaCppSettings(context=131072)
    assert check_memory(asked, gemma, 3 << 30) is None  # 2.7 GiB
    with pytest.raises(OutOfMemory, match=r"needs 2734 MiB of KV cache, but only 1024 MiB") as caught:
        check_memory(asked, gemma, 1 << 30)
    fits = int(str(caught.value).split("lower context to ")[1].split()[0])
    assert check_memory(LlamaCppSettings(context=fits), gemma, 1 << 30) is None
    assert (
        kv_cache_bytes(LlamaCppSettings(context=fits + 256), from_gguf(gemma)) > 0.8 * 2**30
    )  # nor is it needlessly small
    with pytest.raises(OutOfMemory, match="choose a smaller model"):
        check_memory(asked, gemma, 1 << 20)


def test_the_refusal_names_what_comes_while_it_serves(tmp_path):
    small = header(tmp_path, "llama", layers=4, **{"attention.head_count_kv": 4, "attention.key_length": 64})
    # What may come later refuses no start, however little memory there is for it.
    assert check_memory(LlamaCppSettings(context=256), small, 16 << 20) is None
    with pytest.raises(OutOfMemory, match=r"requests may take 8192 MiB more; cache_ram limits that\.$"):
        check_memory(LlamaCppSettings(context=1 << 20), small, 16 << 20)
    with pytest.raises(OutOfMemory) as caught:
        check_memory(LlamaCppSettings(context=1 << 20, cache_ram=0), small, 16 << 20)
    assert "cache_ram" not in str(caught.value)


def test_a_note_in_place_of_a_refusal(tmp_path, monkeypatch):
    path = tmp_path / "new.gguf"
    path.write_bytes(small_gguf({"general.architecture": "nosuchmodel", "nosuchmodel.block_count": 4}))
    ready = ENGINE.prepare(LlamaCppSettings(model=str(path), context=10**9))
    (note,) = ENGINE.command(ready, port=1, key="k").notes
    assert "does not know how much KV cache the architecture 'nosuchmodel' takes" in note
    behind = GATEWAY.prepare(TgiGatewaySettings(model=str(path)))
    assert GATEWAY.command(behind, port=1, key="k").notes == (note,)
    # A cache on a GPU is not compared with RAM.
    path.write_bytes(small_gguf({**FACTS, "llama.block_count": 1000, "llama.attention.key_length": 1 << 20}))
    with pytest.raises(OutOfMemory):
        ENGINE.prepare(LlamaCppSettings(model=str(path), context=10**9))
    monkeypatch.setattr(engine_module, "gpus", lambda: [Gpu("a GPU that is not there", 80_000)])
    assert ENGINE.prepare(LlamaCppSettings(model=str(path), context=10**9)).notes == ()
    with pytest.raises(OutOfMemory):
        ENGINE.prepare(LlamaCppSettings(model=str(path), context=10**9, gpu_layers=0))
