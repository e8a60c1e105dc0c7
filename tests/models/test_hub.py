"""Downloads from the hub: whole, gone on with, refused, damaged, without room."""

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download

from courselib.errors import DownloadFailed, ModelNotFound
from courselib.models import locate, resolve
from courselib.models.hub import HubFile, fetch, find
from tests.models.fake_hub import Refusal
from tests.models.small_gguf import small_gguf

PLACE = "owner/repo:model.gguf"
FILE = "owner/repo/model.gguf"
# huggingface_hub writes 10 MiB at a time: more than two such pieces.
LARGE = small_gguf(floats=6_000_000)
SMALL = small_gguf()
MIB10 = 10 << 20


def partial_files():
    return sorted(Path(constants.HF_HUB_CACHE).rglob("*.partial"))


def blobs():
    return [path for path in Path(constants.HF_HUB_CACHE).rglob("blobs/*") if path.is_file()]


@pytest.mark.parametrize("name", [PLACE, f"hf:{PLACE}"])
def test_a_file_is_fetched_once_into_the_hubs_own_cache(hub, name):
    hub.files[FILE] = SMALL
    path = resolve(name)
    assert path.read_bytes() == SMALL
    assert path.name == "model.gguf"
    asked = len(hub.requests)
    assert resolve(name) == path
    assert locate(name) == path
    assert len(hub.requests) == asked
    assert Path(hf_hub_download("owner/repo", "model.gguf")) == path
    assert len(hub.downloads()) == 1


def test_xet_is_not_used_as_it_cannot_go_on(hub):
    hub.files[FILE] = SMALL
    resolve(PLACE)
    assert not [request for request in hub.requests if "xet-read-token" in request["path"]]


def test_the_token_does_not_leave_the_hub(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.files[FILE] = SMALL
    resolve(PLACE)
    tokens = {request["path"].startswith("/store/"): request["token"] for request in hub.requests}
    assert tokens == {False: "Bearer hf_secret", True: None}


def test_a_broken_connection_is_gone_on_with(hub):
    hub.files[FILE] = LARGE
    hub.breaks = [15_000_000]
    assert resolve(PLACE).read_bytes() == LARGE
    assert hub.downloads() == [None, f"bytes={MIB10}-"]


def test_a_killed_download_is_gone_on_with(hub, hub_environment):
    hub.files[FILE] = LARGE
    hub.stall_after = 15_000_000
    code = f"from courselib.models import resolve; resolve({PLACE!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env=hub_environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not partial_files() or partial_files()[0].stat().st_size < MIB10:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not blobs() or blobs() == partial_files()
    hub.stall_after = None
    assert resolve(PLACE).read_bytes() == LARGE
    assert hub.downloads() == [None, f"bytes={MIB10}-"]
    assert not partial_files()


def test_a_partial_file_longer_than_the_file_is_begun_again(hub):
    hub.files[FILE] = SMALL
    path = resolve(PLACE)
    blob = path.resolve()
    path.unlink()
    blob.rename(blob.with_name(f"{blob.name}.partial"))
    with blob.with_name(f"{blob.name}.partial").open("ab") as file:
        file.write(b"more")
    assert resolve(PLACE).read_bytes() == SMALL
    assert hub.downloads() == [None, None]


def test_two_at_once_download_once(hub):
    hub.files[FILE] = LARGE
    found = []
    threads = [threading.Thread(target=lambda: found.append(resolve(PLACE))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert hub.downloads() == [None]


def test_what_arrives_damaged_is_not_kept(hub):
    hub.files[FILE] = SMALL
    hub.damage = True
    with pytest.raises(DownloadFailed, match=r"checksum is wrong.*download it again"):
        resolve(PLACE)
    assert not blobs()
    hub.damage = False
    assert resolve(PLACE).read_bytes() == SMALL


def test_a_damaged_file_in_the_cache_is_fetched_again(hub, capsys):
    hub.files[FILE] = SMALL
    blob = resolve(PLACE).resolve()
    blob.write_bytes(SMALL[:-1] + bytes([SMALL[-1] ^ 1]))
    with pytest.raises(ModelNotFound, match="courselib models get"):
        locate(PLACE)
    assert resolve(PLACE).read_bytes() == SMALL
    assert "model.gguf is damaged; fetching it again" in capsys.readouterr().err


def test_a_damaged_copy_is_fetched_again(hub):
    # Where links are not allowed, as on Windows, the hub's cache holds copies; only a known checksum tells of damage.
    hub.files[FILE] = SMALL
    place = HubFile("owner/repo", "model.gguf", sha256=hashlib.sha256(SMALL).hexdigest())
    path = fetch(place)
    path.unlink()
    path.write_bytes(SMALL[:-1] + b"X")
    assert find(place) is None
    assert fetch(place).read_bytes() == SMALL
    assert find(place) == path


def test_a_damaged_file_is_kept_while_the_hub_cannot_be_asked(hub):
    hub.files[FILE] = SMALL
    blob = resolve(PLACE).resolve()
    blob.write_bytes(SMALL[:-1])
    hub.refuse = Refusal(503)
    with pytest.raises(DownloadFailed, match="answers 503"):
        resolve(PLACE)
    assert blob.exists()


def test_another_file_than_the_one_expected_is_not_downloaded(hub):
    hub.files[FILE] = SMALL
    with pytest.raises(DownloadFailed, match="not the file that the course expects"):
        fetch(HubFile("owner/repo", "model.gguf", sha256="0" * 64))
    assert hub.downloads() == []


def test_a_commit_is_found_again_without_the_hub(hub):
    hub.files[FILE] = SMALL
    place = HubFile("owner/repo", "model.gguf", revision="0123456789abcdef0123456789abcdef01234567")
    path = fetch(place)
    assert find(place) == path
    assert find(HubFile("owner/repo", "model.gguf")) is None  # nobody asked which commit main is


REFUSALS = {
    "gated, without a token": (Refusal(401, "GatedRepo"), ModelNotFound, "gated.*hf auth login"),
    "gated, not admitted": (Refusal(403, "GatedRepo"), ModelNotFound, "gated.*hf auth login"),
    "a private or missing repository": (Refusal(401, "RepoNotFound"), ModelNotFound, "no repository owner/repo"),
    "a bad token": (
        Refusal(401, message="Invalid credentials in Authorization header"),
        ModelNotFound,
        "this token; sign in with: hf auth login",
    ),
    "forbidden": (Refusal(403), ModelNotFound, "hf auth login"),
    "no such revision": (Refusal(404, "RevisionNotFound"), ModelNotFound, "has no file"),
    "too many requests": (Refusal(429), DownloadFailed, "answers 429.*try again"),
    "the hub is down": (Refusal(503), DownloadFailed, "answers 503.*try again"),
    "something that is no hub": (Refusal(200), DownloadFailed, "could not be downloaded"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_refused(what, hub):
    hub.files[FILE] = SMALL
    hub.refuse, kind, words = REFUSALS[what]
    with pytest.raises(kind, match=words) as caught:
        resolve(PLACE)
    assert "\n" not in caught.value.message
    assert caught.value.details
    assert not blobs()


def test_missing_file_and_missing_repository(hub):
    hub.files[FILE] = SMALL
    with pytest.raises(ModelNotFound, match=r"owner/repo has no file other\.gguf"):
        resolve("owner/repo:other.gguf")
    with pytest.raises(ModelNotFound, match="no repository nobody/nothing"):
        resolve("nobody/nothing:model.gguf")
    with pytest.raises(ModelNotFound, match="not the name of a repository"):
        resolve("own..er/--repo:model.gguf")


def test_a_file_of_the_repository_that_is_no_model(hub):
    hub.files["owner/repo/notes.gguf"] = b"no model"
    with pytest.raises(Exception, match="not a GGUF file"):
        resolve("owner/repo:notes.gguf")


def test_no_network(hub, monkeypatch):
    closed = "http://127.0.0.1:9"  # the discard port: nobody listens
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", closed + "/{repo_id}/resolve/{revision}/{filename}")
    with pytest.raises(DownloadFailed, match=r"cannot be reached.*Check the network.*smollm2-135m"):
        resolve(PLACE)


def test_offline_says_who_forbids_it(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE forbids"):
        resolve(PLACE)


def test_a_file_larger_than_the_disk_is_not_begun(hub):
    hub.files[FILE] = SMALL
    hub.claim_size = 10**15
    with pytest.raises(DownloadFailed, match=r"1000000000 MB are needed and \d+ MB free.*HF_HOME"):
        resolve(PLACE)
    assert hub.downloads() == []


def test_a_limit_while_writing(hub, hub_environment):
    resource = pytest.importorskip("resource", reason="this system has no limits of a file's size")
    hub.files[FILE] = LARGE

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))

    code = f"""
from courselib.errors import DownloadFailed
from courselib.models import resolve
try: resolve({PLACE!r})
except DownloadFailed as error: print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=hub_environment, preexec_fn=limit, capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    assert "HF_HOME" in done.stdout
    assert resolve(PLACE).read_bytes() == LARGE


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may make a small file system")
def test_a_full_disk_is_left_empty(hub, monkeypatch):
    hub.files[FILE] = LARGE
    hub.announce_size = False  # else it would be refused before the first byte
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True)
        if mounted.returncode:
            pytest.skip(f"mount is not allowed here: {mounted.stderr.decode()}")
        try:
            monkeypatch.setattr(constants, "HF_HUB_CACHE", folder)
            with pytest.raises(DownloadFailed, match=r"No space left on device.*Make room"):
                resolve(PLACE)
            assert not blobs()
        finally:
            subprocess.run(["umount", folder], check=True)


def test_a_cache_that_may_not_be_written(hub, tmp_path, monkeypatch):
    hub.files[FILE] = SMALL
    (tmp_path / "file").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(DownloadFailed, match=r"could not be downloaded|cannot be stored"):
        resolve(PLACE)


def test_quiet_without_a_terminal(hub, hub_environment):
    hub.files[FILE] = SMALL
    code = f"from courselib.models import resolve; resolve({PLACE!r})"
    done = subprocess.run([sys.executable, "-c", code], env=hub_environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_bar_in_a_terminal(hub, hub_environment):
    from tests.models.terminal import in_terminal

    hub.files[FILE] = LARGE
    code, shown = in_terminal(f"from courselib.models import resolve; resolve({PLACE!r})", hub_environment)
    assert code == 0
    assert "model.gguf: 100%" in shown
