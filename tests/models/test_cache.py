"""What is noticed of a changed file, and what checking costs."""

import hashlib
import os

import pytest

from courselib.models import cache as module
from courselib.models.cache import cache_folder, checksum, is_verified


@pytest.fixture
def file(cache, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content" * 1000)
    return path


def test_folder_is_the_one_named(cache, monkeypatch):
    assert cache_folder() == cache
    monkeypatch.delenv("COURSELIB_CACHE")
    assert cache_folder().name == "courselib"


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
