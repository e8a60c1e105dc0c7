"""What is noticed of a changed file, and what checking costs."""

import hashlib
import os
import threading

import pytest
from huggingface_hub import constants

from courselib.errors import SettingsError
from courselib.models import CATALOGUE, bundled, list_models
from courselib.models import cache as module
from courselib.models.cache import cache_folder, checksum, is_verified
from courselib.models.hub import HubFile, fetch
from courselib.models.locks import locked
from tests.waiting import wait_until


@pytest.fixture
def file(cache, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content" * 1000)
    return path


def test_folder_is_the_one_named(cache, monkeypatch):
    assert cache_folder() == cache
    monkeypatch.delenv("COURSELIB_CACHE")
    assert cache_folder().name == "courselib"


@pytest.mark.parametrize("old", [False, True], ids=["platformdirs", "older platformdirs"])
def test_without_a_home_folder(old, file, monkeypatch):
    def unknown(_name):
        if old:
            return "~/.cache/courselib"
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(module.platformdirs, "user_cache_dir", unknown)
    assert cache_folder() == file.parent / "cache"  # the variable names one
    monkeypatch.delenv("COURSELIB_CACHE")
    with pytest.raises(SettingsError, match=r"no home folder.*set the environment variable COURSELIB_CACHE"):
        cache_folder()
    assert checksum(file) == hashlib.sha256(b"content" * 1000).hexdigest()
    assert bundled.find(CATALOGUE[0]) is None
    assert [row.path for row in list_models() if row.model.bundled] == [None]
    with pytest.raises(SettingsError, match="COURSELIB_CACHE"):
        bundled.fetch(CATALOGUE[0])
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "~/.cache/huggingface/hub")
    with pytest.raises(SettingsError, match="HF_HOME"):
        fetch(HubFile("owner/repo", "model.gguf"))


def test_who_waits_for_another_is_told(tmp_path, capsys):
    asked, held = tmp_path / "lock", threading.Event()
    with locked(asked, "model.gguf"):
        waiting = threading.Thread(target=lambda: _hold(asked, held))
        waiting.start()
        wait_until(lambda: "Another program is fetching model.gguf" in capsys.readouterr().err)
        assert not held.is_set()
    waiting.join()
    assert held.is_set()
    with locked(asked, "model.gguf"):
        assert capsys.readouterr().err == ""


def _hold(path, held):
    with locked(path, "model.gguf"):
        held.set()


def test_checksum(file):
    assert checksum(file) == hashlib.sha256(b"content" * 1000).hexdigest()


def test_an_unchanged_file_is_read_once(file, monkeypatch):
    first = checksum(file)
    monkeypatch.setattr(module, "sha256", lambda path: pytest.fail("read again"))
    assert checksum(file) == first


def test_a_flipped_byte_is_noticed_even_with_its_time_put_back(file):
    before = checksum(file)
    status = file.stat()
    with file.open("r+b") as opened:
        opened.seek(500)
        opened.write(b"X")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    assert file.stat().st_mtime_ns == status.st_mtime_ns
    assert checksum(file) != before


def test_an_exchanged_file_is_noticed(file, tmp_path):
    before = checksum(file)
    other = tmp_path / "other"
    other.write_bytes(b"CONTENT" * 1000)
    other.replace(file)
    assert checksum(file) != before


def test_a_damaged_stamp_is_no_answer(file, cache):
    right = checksum(file)
    (stamp,) = (cache / "verified").iterdir()
    whole = stamp.read_text()
    for content in ("", "1 2 3", whole[:-70], whole[:-10], "\0" * 100):
        stamp.write_text(content)
        assert checksum(file) == right


def test_without_a_cache_it_only_costs_time(file, monkeypatch):
    monkeypatch.setenv("COURSELIB_CACHE", str(file / "no folder"))
    assert is_verified(file, hashlib.sha256(b"content" * 1000).hexdigest())


def test_what_cannot_be_read_is_not_verified(cache, tmp_path):
    assert not is_verified(tmp_path / "none", "0" * 64)
    assert not is_verified(tmp_path, "0" * 64)
