"""Submissions: the notebooks of a folder or zip, and whose they are, by the names that learning platforms give them.

Nothing is unpacked, no link is followed, and nothing is read that is larger than a notebook may be.

Sources of the names: Canvas, "Download Submissions" (instructor guide); Moodle, "Download all submissions" with and
without folders (MoodleDocs, Using Assignment); Google Classroom's folder in Drive.
"""

from __future__ import annotations

import functools
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from courselib.errors import SettingsError
from courselib.i18n import _

MOST_BYTES = 64 * 2**20
MOST_FILES = 20_000
_CANVAS = re.compile(r"(?P<who>[^_/]+)(?:_LATE)?_(?P<id>\d+)_\d+_(?P<file>[^/]+)")
_MOODLE = re.compile(r"(?P<who>[^/]+)_(?P<id>\d+)_assignsubmission_file_?/?(?P<file>[^/]+)")
_CLASSROOM = re.compile(r"(?P<who>[^/]+?) - (?P<file>[^/]+)(?P<id>)")
_EXERCISES = "exercises"


@dataclass(frozen=True)
class Submission:
    """One file that was handed in.

    Args:
        learner: as the folder or the platform names them.
        platform_id: the platform's number of the learner; empty where it gave none.
        path: in the folder or zip.
        file: the file's name without what the platform put before it.
        read: gives its bytes.
        problem: why it cannot be read, as a sentence; empty where it can.
    """

    learner: str
    platform_id: str
    path: str
    file: str
    read: Callable[[], bytes]
    problem: str = ""


def collect(submissions: Path) -> list[Submission]:
    """What was handed in, in the order of its paths.

    Raises:
        SettingsError: there is no such folder or zip, or no notebook in it.
    """
    if submissions.is_dir():
        found = _in_folder(submissions)
    elif zipfile.is_zipfile(submissions):
        found = _in_zip(submissions)
    else:
        raise SettingsError(_("{path} is neither a folder nor a zip of notebooks.").format(path=submissions))
    kept = sorted(found, key=lambda each: each.path)
    if not kept:
        raise SettingsError(_("There is no notebook (.ipynb) in {path}.").format(path=submissions))
    return kept


def whose(path: str) -> tuple[str, str, str]:
    """Learner, platform's number and file name of a path below the submissions."""
    for form in (_MOODLE, _CANVAS, _CLASSROOM):
        matched = form.fullmatch("/".join(PurePosixPath(path).parts[-2:])) or form.fullmatch(PurePosixPath(path).name)
        if matched:
            return matched["who"].strip(), matched["id"], matched["file"]
    *folders, name = PurePosixPath(path).parts
    folders = [folder for folder in folders if folder != _EXERCISES]
    return folders[0] if folders else PurePosixPath(name).stem, "", name


def _in_folder(folder: Path) -> Iterator[Submission]:
    paths = [path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    for path in paths[:MOST_FILES]:
        about = path.lstat()
        name = path.relative_to(folder).as_posix()
        problem = ""
        if not stat.S_ISREG(about.st_mode):
            problem = _("This is a link or no plain file; it was not opened.")
        elif about.st_size > MOST_BYTES:
            problem = _too_large(about.st_size)
        yield Submission(*_split(name), read=path.read_bytes, problem=problem)


def _in_zip(path: Path) -> Iterator[Submission]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    for member in members[:MOST_FILES]:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.suffix != ".ipynb" or "__MACOSX" in name.parts or ".ipynb_checkpoints" in name.parts:
            continue
        problem = ""
        if stat.S_ISLNK(member.external_attr >> 16):
            problem = _("This is a link or no plain file; it was not opened.")
        elif member.file_size > MOST_BYTES:
            problem = _too_large(member.file_size)
        inside = "/".join(part for part in name.parts if part not in ("..", "/"))
        yield Submission(*_split(inside), read=functools.partial(_unzipped, path, member), problem=problem)


def _split(path: str) -> tuple[str, str, str, str]:
    # A name may hold bytes that are no text.
    text = path.encode("utf-8", "replace").decode()
    learner, number, file = whose(text)
    return learner, number, text, file


def _unzipped(path: Path, member: zipfile.ZipInfo) -> bytes:
    """A member's bytes, no more than it announced."""
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        return file.read(member.file_size)


def _too_large(size: int) -> str:
    text = _("The notebook has {n} MB, and up to {most} are read. Clear its outputs and hand it in again.")
    return text.format(n=size // 10**6, most=MOST_BYTES // 10**6)
