"""Which file of a repository is meant, models in parts, and what stands between us and the hub."""

from pathlib import Path

import pytest
from huggingface_hub import constants, file_download

from courselib.errors import DownloadFailed, ModelNotFound
from courselib.models import hub as hub_module
from courselib.models import locate, resolve
from courselib.models.hub_errors import explain
from tests.models.small_gguf import FACTS, small_gguf, split_gguf

SMALL = small_gguf()


@pytest.fixture
def repository(hub):
    """A repository as many are: several quantisations, each of other bytes, and files beside them."""
    names = ["a-Q4_K_M.gguf", "a-Q4_0.gguf", "a-IQ4_NL.gguf", "a.Q8_0.gguf", "a-UD-Q4_K_XL.gguf"]
    for number, name in enumerate(names):
        hub.files[f"owner/repo/{name}"] = small_gguf({**FACTS, "general.name": name}, floats=64 + number)
    for name in ("README.md", "mmproj-Q8_0.gguf", "a.imatrix.gguf", "sub/readme.txt"):
        hub.files[f"owner/repo/{name}"] = b"something else " + name.encode()
    return hub


TAGS = {
    "owner/repo:Q4_K_M": "a-Q4_K_M.gguf",
    "owner/repo:q4_k_m": "a-Q4_K_M.gguf",
    "hf:owner/repo:Q8_0": "a.Q8_0.gguf",
    "owner/repo:Q4_0": "a-Q4_0.gguf",
    "owner/repo:IQ4_NL": "a-IQ4_NL.gguf",
    "owner/repo:Q4_K_XL": "a-UD-Q4_K_XL.gguf",
    "owner/repo:UD-Q4_K_XL": "a-UD-Q4_K_XL.gguf",
    "owner/repo": "a-Q4_K_M.gguf",
}


@pytest.mark.parametrize("name", TAGS)
def test_by_its_quantisation(name, repository):
    with pytest.raises(ModelNotFound, match="courselib models get"):
        locate(name)
    path = resolve(name)
    assert path.name == TAGS[name]
    asked = len(repository.requests)
    assert resolve(name) == locate(name) == path
    assert len(repository.requests) == asked  # the cache first


def test_a_repository_of_one_file(hub):
    hub.files["owner/one/whatever.gguf"] = SMALL
    assert resolve("owner/one").name == "whatever.gguf"
    assert locate("owner/one").name == "whatever.gguf"


NOT_ONE = {
    "owner/repo:Q5_K_M": r"has no GGUF in Q5_K_M; name one of its files, such as owner/repo:a",
    "owner/two:Q4_0": r"several GGUF files for that; name one of them, such as owner/two:big-Q4_0\.gguf",
    "owner/two": r"several GGUF files for that|has no GGUF",
    "owner/plain": r"owner/plain has no GGUF file.*-GGUF",
    "owner/plain:Q4_0": r"owner/plain has no GGUF file",
    "nobody/nothing:Q4_0": "no repository nobody/nothing",
}


@pytest.mark.parametrize("name", NOT_ONE)
def test_not_one_file(name, repository):
    for file in ("big-Q4_0.gguf", "small-Q4_0.gguf"):
        repository.files[f"owner/two/{file}"] = SMALL
    repository.files["owner/plain/model.safetensors"] = b"weights"
    with pytest.raises(ModelNotFound, match=NOT_ONE[name]) as caught:
        resolve(name)
    assert "\n" not in caught.value.message
    assert repository.downloads() == []


@pytest.mark.parametrize("file", ["my model (1).gguf", "sub folder/a[b]#c%20.gguf", "模型.gguf"])
def test_names_of_files_as_they_come(file, hub):
    hub.files[f"owner/repo/{file}"] = SMALL
    assert resolve(f"owner/repo:{file}").read_bytes() == SMALL


def test_a_near_name_is_offered(repository):
    repository.files["owner/small/smollm2-1.7b-instruct-q4_k_m.gguf"] = SMALL
    words = (
        r"no file smollm2-1\.7b-instruct\.Q4_K_M\.gguf; did you mean owner/small:smollm2-1\.7b-instruct-q4_k_m\.gguf\?"
    )
    with pytest.raises(ModelNotFound, match=words):
        resolve("owner/small:smollm2-1.7b-instruct.Q4_K_M.gguf")
    with pytest.raises(ModelNotFound, match=r"has no file completely-else\.gguf; look at its list"):
        resolve("owner/small:completely-else.gguf")


@pytest.mark.parametrize("asked", ["Q4_0/m-00001-of-00003.gguf", "Q4_0/m-00002-of-00003.gguf", "Q4_0"])
def test_all_parts_are_fetched(asked, hub, tmp_path):
    for part in split_gguf(tmp_path, "m", count=3):
        hub.files[f"owner/repo/Q4_0/{part.name}"] = part.read_bytes()
    path = resolve(f"owner/repo:{asked}")
    assert path.name == "m-00001-of-00003.gguf"
    assert sorted(each.name for each in path.parent.iterdir()) == [f"m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert len(hub.downloads()) == 3
    assert locate(f"owner/repo:{asked}") == path
    path.with_name("m-00002-of-00003.gguf").unlink()
    with pytest.raises(ModelNotFound, match="courselib models get"):
        locate(f"owner/repo:{asked}")
    assert resolve(f"owner/repo:{asked}") == path


def test_a_part_that_the_repository_lacks(hub, tmp_path):
    first, _second = split_gguf(tmp_path, "m")
    hub.files[f"owner/repo/{first.name}"] = first.read_bytes()
    with pytest.raises(ModelNotFound, match=r"has no file m-00002-of-00002\.gguf"):
        resolve(f"owner/repo:{first.name}")


PROXIES = {
    "socks://127.0.0.1:7890": "names a proxy by socks://.*write http:// or socks5://",
    "socks5://127.0.0.1:7890": "names a SOCKS proxy; install the package socksio",
}


@pytest.mark.parametrize("variable", ["ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_that_cannot_be_used_is_named(proxy, variable, hub, monkeypatch):
    from huggingface_hub import close_session

    hub.files["owner/repo/model.gguf"] = SMALL
    monkeypatch.setenv(variable, proxy)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # socksio is not installed
    close_session()  # the client is made anew, under this environment
    try:
        for name in ("owner/repo:model.gguf", "owner/repo:Q4_0", "owner/repo"):
            with pytest.raises(DownloadFailed, match=f"{variable} {PROXIES[proxy]}") as caught:
                resolve(name)
            assert "7890" not in caught.value.message  # an address may hold a password
    finally:
        monkeypatch.undo()
        close_session()


def test_a_fault_of_ours_is_not_dressed_up():
    for error in (ValueError("ours"), ImportError("ours")):
        with pytest.raises(type(error), match="ours"):
            explain(error, "owner/repo", "model.gguf")


@pytest.mark.parametrize("change", ["gone", "other arguments"])
def test_a_later_hub_without_the_means_to_go_on(change, hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the fake hub serves no Xet
    hub.files["owner/repo/model.gguf"] = SMALL
    real = file_download.http_get

    def without_resuming(url, temp_file, *, headers=None, expected_size=None, tqdm_class=None):
        return real(url, temp_file, headers=headers, expected_size=expected_size, tqdm_class=tqdm_class)

    def gone(*_arguments):
        raise ImportError("cannot import name 'http_get'")

    if change == "gone":
        monkeypatch.setattr(hub_module, "_fill_blob", gone)
    else:
        monkeypatch.setattr(file_download, "http_get", without_resuming)
    path = resolve("owner/repo:model.gguf")
    assert path.read_bytes() == SMALL
    hub.damage = True
    path.resolve().unlink()
    with pytest.raises(DownloadFailed, match="arrived damaged"):
        resolve("owner/repo:model.gguf")
    assert not any(file.is_file() for file in Path(constants.HF_HUB_CACHE).rglob("blobs/*"))
