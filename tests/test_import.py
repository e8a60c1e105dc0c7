"""Importing the course costs next to nothing and pulls in nothing heavy."""

import json
import subprocess
import sys

HEAVY = {
    "xllamacpp",
    "torch",
    "vllm",
    "llama_cpp",
    "plotly",
    "openai",
    "huggingface_hub",
    "ipywidgets",
    "httpx",
    "numpy",
}


def modules_after(code):
    program = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_import_is_light():
    extra = modules_after("import courselib") - modules_after("")
    assert not extra & HEAVY
    assert len({name.split(".")[0] for name in extra}) < 30


def test_public_names_are_all_there():
    import courselib

    for name in courselib.__all__:
        assert getattr(courselib, name) is not None
    assert set(courselib.__all__) <= set(dir(courselib))


def test_unknown_name_is_an_attribute_error():
    import pytest

    import courselib

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        courselib.nothing  # noqa: B018
