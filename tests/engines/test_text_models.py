"""A model that writes no text is refused by everything that would make it write."""

import re

import pytest

from courselib.engines.launcher import make_settings
from courselib.engines.registry import get_engine
from courselib.errors import ModelError
from courselib.models import hf_directory
from courselib.panels.deploy import Deploy
from tests.models.small_gguf import FACTS, small_gguf

NO_WRITERS = {
    "embeddings": ({**FACTS, "llama.pooling_type": 1}, "a model for embeddings, which generates no text"),
    "reranker": ({**FACTS, "llama.pooling_type": 4}, "a model for reranking, which generates no text"),
    "encoder": ({"general.architecture": "bert"}, r"generates no text by itself \(bert\)"),
}


@pytest.mark.parametrize("what", NO_WRITERS)
@pytest.mark.parametrize("use", ["llama.cpp", "tgi-gateway", "hf_directory", "Deploy"])
def test_a_model_that_writes_no_text_is_refused_before_anything_starts(what, use, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / "cache"))
    facts, words = NO_WRITERS[what]
    path = tmp_path / "m.gguf"
    path.write_bytes(small_gguf(facts))
    if use == "Deploy":
        desk = Deploy(model=str(path))
        assert re.search(words, desk._error.value) and desk.start_button.disabled
        return
    with pytest.raises(ModelError, match=words):
        if use == "hf_directory":
            hf_directory(path, python="/no/python")
        else:
            engine = get_engine(use)
            engine.prepare(make_settings(engine, {"model": str(path)}))
