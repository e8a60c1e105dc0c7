"""Whose notebook a file is, and which files are opened at all."""

import json
import os
import stat
import zipfile

import pytest

from courselib.errors import SettingsError
from courselib.grading import collect as module
from courselib.grading.collect import CannotRead, collect, whose

NOTEBOOK = b'{"cells": []}'


@pytest.mark.parametrize(
    ("path", "due"),
    [
        # Canvas: all in one folder.
        ("wangxiaoming_4711_90210_010_ttft.ipynb", ("wangxiaoming", "4711", "010_ttft.ipynb")),
        ("wangxiaoming_LATE_4711_90210_010_ttft-2.ipynb", ("wangxiaoming", "4711", "010_ttft-2.ipynb")),
        # Moodle: a folder each, or all in one.
        ("Ada Lovelace_12_assignsubmission_file_/010_ttft.ipynb", ("Ada Lovelace", "12", "010_ttft.ipynb")),
        ("Ada Lovelace_12_assignsubmission_file/sub/010_ttft.ipynb", ("Ada Lovelace", "12", "010_ttft.ipynb")),
        ("Ada Lovelace_12_assignsubmission_file_010_ttft.ipynb", ("Ada Lovelace", "12", "010_ttft.ipynb")),
        ("王 小明_12_assignsubmission_file_010_ttft.ipynb", ("王 小明", "12", "010_ttft.ipynb")),
        # Classroom's folder in Drive.
        ("Ada Lovelace - 010_ttft.ipynb", ("Ada Lovelace", "", "010_ttft.ipynb")),
        # A folder for each learner, as it is or with the course's folder in it.
        ("ada/010_ttft.ipynb", ("ada", "", "010_ttft.ipynb")),
        ("ada/exercises/010_ttft.ipynb", ("ada", "", "010_ttft.ipynb")),
        # One learner's folder.
        ("exercises/010_ttft.ipynb", ("010_ttft", "", "010_ttft.ipynb")),
        ("010_ttft.ipynb", ("010_ttft", "", "010_ttft.ipynb")),
        # A learner names a file as the platform names another learner's.
        ("eve/ada_4711_90210_010_ttft.ipynb", ("eve", "", "ada_4711_90210_010_ttft.ipynb")),
        ("eve/ada - 010_ttft.ipynb", ("eve", "", "ada - 010_ttft.ipynb")),
        ("eve_66_90210_ada_4711_90210_x.ipynb", ("eve", "66", "ada_4711_90210_x.ipynb")),
        ("eve - ada - x.ipynb", ("eve", "", "ada - x.ipynb")),
        (
            "Eve_66_assignsubmission_file_Ada_12_assignsubmission_file_x.ipynb",
            ("Eve", "66", "Ada_12_assignsubmission_file_x.ipynb"),
        ),
        ("Eve_66_assignsubmission_file_/Ada_12_assignsubmission_file_/x.ipynb", ("Eve", "66", "x.ipynb")),
    ],
)
def test_whose_a_file_is(path, due):
    assert whose(path) == due


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def found(path):
    return [(each.learner, each.path) for each in collect(path)]


def test_a_folder_and_its_zip_give_the_same(tmp_path):
    names = ["ada/010_ttft.ipynb", "eve/x/011_percentile.ipynb", "eve/010_ttft.ipynb"]
    for name in [*names, "eve/.ipynb_checkpoints/010_ttft-checkpoint.ipynb", "eve/notes.txt"]:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(NOTEBOOK)
    archive = zipped(tmp_path / "in.zip", dict.fromkeys([*reversed(names), "__MACOSX/ada/._010_ttft.ipynb"], NOTEBOOK))
    assert found(tmp_path / "in") == found(archive) == [(name.split("/")[0], name) for name in sorted(names)]
    assert {each.read() for each in collect(archive)} == {NOTEBOOK}


def test_a_folder_around_what_the_platform_gave(tmp_path):
    names = ["class/ada_1_2_010_ttft.ipynb", "class/eve_3_4_010_ttft.ipynb"]
    assert [name for name, _ in found(zipped(tmp_path / "a.zip", dict.fromkeys(names, NOTEBOOK)))] == ["ada", "eve"]
    # Here one file is none of a platform's: the folder is a learner.
    names.append("class/mine.ipynb")
    assert {name for name, _ in found(zipped(tmp_path / "b.zip", dict.fromkeys(names, NOTEBOOK)))} == {"class"}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../../eve/x.ipynb", "eve/x.ipynb"),
        ("/etc/x.ipynb", "etc/x.ipynb"),
        ("eve\\x.ipynb", "eve/x.ipynb"),
        ("eve/..\\..\\x.ipynb", "eve/x.ipynb"),
        ("eve/\x1b[2Jx\n.ipynb", "eve/\\x1b[2Jx\\n.ipynb"),
        ("eve/\u202egpj.ipynb", "eve/\\u202egpj.ipynb"),
    ],
)
def test_no_name_in_a_zip_leads_out_of_it_or_into_the_terminal(tmp_path, name, path):
    (one,) = collect(zipped(tmp_path / "in.zip", {name: NOTEBOOK}))
    assert one.path == path
    assert one.read() == NOTEBOOK
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.zip"]


def test_a_name_on_disk_that_is_no_text(tmp_path):
    folder = tmp_path / os.fsdecode(b"\xff\x1b[31m")
    folder.mkdir()
    (folder / "x.ipynb").write_bytes(NOTEBOOK)
    (one,) = collect(tmp_path)
    assert one.learner == "?\\x1b[31m"
    assert one.read() == NOTEBOOK


def test_what_is_no_plain_file_is_not_opened(tmp_path):
    planted, folder = tmp_path / "planted.ipynb", tmp_path / "in" / "eve"
    planted.write_bytes(NOTEBOOK)
    folder.mkdir(parents=True)
    (folder / "link.ipynb").symlink_to(planted)
    (folder / "folder-link").symlink_to(tmp_path)
    (folder / "folder.ipynb").mkdir()
    os.mkfifo(folder / "pipe.ipynb")
    assert [each.file for each in collect(tmp_path / "in")] == ["folder.ipynb", "link.ipynb", "pipe.ipynb"]
    assert all("was not opened" in each.problem for each in collect(tmp_path / "in"))


def test_a_link_in_a_zip_is_not_opened(tmp_path):
    link = zipfile.ZipInfo("eve/link.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (one,) = collect(tmp_path / "in.zip")
    assert "was not opened" in one.problem


def test_what_is_encrypted_or_damaged_is_said_and_the_others_are_read(tmp_path):
    path = zipped(tmp_path / "in.zip", {"a/x.ipynb": NOTEBOOK * 9, "b/x.ipynb": NOTEBOOK, "c/x.ipynb": NOTEBOOK})
    data = bytearray(path.read_bytes())
    data[data.find(b"a/x.ipynb") + len("a/x.ipynb")] ^= 0xFF  # its first packed byte
    second = data.rfind(b"b/x.ipynb") - 46  # where the directory tells of it
    data[second + 8] |= 1
    path.write_bytes(data)
    first, second, third = collect(path)
    with pytest.raises(CannotRead, match="may be damaged"):
        first.read()
    assert "encrypted" in second.problem
    assert third.read() == NOTEBOOK


def test_a_zip_bomb_is_read_no_further_than_it_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 10**6)
    path = zipped(tmp_path / "in.zip", {"a/x.ipynb": bytes(10**6 + 1), "b/x.ipynb": bytes(10**6)})
    data = bytearray(path.read_bytes())
    for where in (data.find(b"b/x.ipynb") - 30 + 22, data.rfind(b"b/x.ipynb") - 46 + 24):
        data[where : where + 4] = (1000).to_bytes(4, "little")  # it announces less than it has
    path.write_bytes(data)
    first, second = collect(path)
    assert "more than is read" in first.problem
    with pytest.raises(CannotRead, match="damaged"):
        second.read()


def test_large_outputs_are_no_obstacle_and_large_texts_are(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 10_000)
    cell = {"cell_type": "code", "metadata": {}, "source": "x", "outputs": ["y" * 10**6]}
    for name, notebook in {"a": {"cells": [cell]}, "b": {"cells": [cell | {"source": "x" * 10**5}]}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.ipynb").write_text(json.dumps(notebook))
    first, second = collect(tmp_path)
    assert len(first.read()) < 100
    with pytest.raises(CannotRead, match="more than is read"):
        second.read()


def test_a_file_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    (tmp_path / "x.ipynb").write_bytes(NOTEBOOK)
    (one,) = collect(tmp_path)
    (tmp_path / "x.ipynb").unlink()
    with pytest.raises(CannotRead, match="FileNotFoundError"):
        one.read()


def test_nothing_to_grade_and_too_much_of_it(tmp_path, monkeypatch):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SettingsError, match="There is no notebook"):
        collect(tmp_path)
    with pytest.raises(SettingsError, match="neither a folder nor a zip"):
        collect(tmp_path / "notes.txt")
    monkeypatch.setattr(module, "MOST_FILES", 2)
    for name in "abc":
        (tmp_path / f"{name}.ipynb").write_bytes(NOTEBOOK)
    with pytest.raises(SettingsError, match="Grade it in parts"):
        collect(tmp_path)


def test_a_zip_whose_list_of_files_is_damaged(tmp_path):
    path = zipped(tmp_path / "in.zip", {"a/x.ipynb": NOTEBOOK})
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\x01\x02")] = 0
    path.write_bytes(data)
    with pytest.raises(SettingsError, match="Download it again"):
        collect(path)
