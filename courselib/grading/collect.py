"""Submissions: the notebooks of a folder or zip, and whose they are, by the names that learning platforms give them.

Nothing is unpacked, no link is followed, and nothing is read that is larger than a notebook may be.

Sources of the names: Canvas, "Download Submissions" (instructor guide); Moodle, "Download all submissions" with and
without folders (MoodleDocs, Using Assignment); Google Classroom's folder in Drive.
"""

from __future__ import annotations

import contextlib
import functools
import re
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from courselib.errors import SettingsError
from courselib.grading.bare import TooMuch, bare
from courselib.grading.printable import printable_name
from courselib.i18n import _

MOST_FILES = 20_000
# What is read of a notebook, and what of it is kept: its text, without its outputs.
MOST_BYTES, MOST_KEPT = 2**30, 8 * 2**20
# Notebooks above this size are read one at a time, whoever reads them.
LARGE = 32 * 2**20
_one_large = threading.Lock()
# Each is matched from the beginning, which the platform writes: the rest is the learner's to choose.
_CANVAS = re.compile(r"(?P<who>[^_/]+)(?:_LATE)?_(?P<id>\d+)_\d+_(?P<file>[^/]+)")
_MOODLE = re.compile(r"(?P<who>[^/]+?)_(?P<id>\d+)_assignsubmission_file_(?P<file>[^/]+)")
_MOODLE_FOLDER = re.compile(r"(?P<who>[^/]+?)_(?P<id>\d+)_assignsubmission_file_?")
_CLASSROOM = re.compile(r"(?P<who>[^/]+?) - (?P<file>[^/]+)(?P<id>)")
_EXERCISES, _CHECKPOINTS = "exercises", ".ipynb_checkpoints"


class CannotRead(Exception):
    """A file cannot be read; the message is a sentence for the learner."""


@dataclass(frozen=True)
class Submission:
    """One file that was handed in.

    Args:
        learner: as the folder or the platform names them.
        platform_id: the platform's number of the learner; empty where it gave none.
        file: the file's name without what the platform put before it.
        path: in the folder or zip.
        read: gives its bytes, without outputs; raises ``CannotRead``.
        problem: why it cannot be read, as a sentence; empty where it can.
    """

    learner: str
    platform_id: str
    file: str
    path: str
    read: Callable[[], bytes]
    problem: str = ""


@dataclass(frozen=True)
class _Found:
    path: str
    read: Callable[[], bytes]
    problem: str


def collect(submissions: Path) -> list[Submission]:
    """What was handed in, in the order of its paths.

    Raises:
        SettingsError: there is no such folder or zip, or no notebook in it.
    """
    if submissions.is_dir():
        found = list(_in_folder(submissions))
    elif zipfile.is_zipfile(submissions):
        found = list(_in_zip(submissions))
    else:
        raise SettingsError(_("{path} is neither a folder nor a zip of notebooks.").format(path=submissions))
    if len(found) > MOST_FILES:
        text = _("There are {n} notebooks in {path}, and up to {most} are graded in one run. Grade it in parts.")
        raise SettingsError(text.format(n=len(found), path=submissions, most=MOST_FILES))
    if not found:
        raise SettingsError(_("There is no notebook (.ipynb) in {path}.").format(path=submissions))
    around = _wrapper([each.path for each in found])
    kept = [Submission(*whose(each.path[around:]), each.path, each.read, each.problem) for each in found]
    return sorted(kept, key=lambda each: each.path)


def whose(path: str) -> tuple[str, str, str]:
    """Learner, platform's number and file name of a path below the submissions.

    Where there are folders, the outermost alone tells, since what is in it was named by the learner, who might choose
    another one's name.
    """
    *folders, name = [part for part in path.split("/") if part != _EXERCISES] or [path]
    if folders:
        matched = _MOODLE_FOLDER.fullmatch(folders[0])
        who, number = (matched["who"], matched["id"]) if matched else (folders[0], "")
        return who.strip(), number, name
    matched = next(filter(None, (form.fullmatch(name) for form in (_MOODLE, _CANVAS, _CLASSROOM))), None)
    if matched:
        return matched["who"].strip(), matched["id"], matched["file"]
    return PurePosixPath(name).stem, "", name


def _wrapper(paths: Sequence[str]) -> int:
    """How much of all paths is a folder around what a platform gave, as archives of a folder have it."""
    first, slash, _rest = paths[0].partition("/")
    around = first + slash
    if slash and all(path.startswith(around) and _is_platforms(path[len(around) :]) for path in paths):
        return len(around)
    return 0


def _is_platforms(path: str) -> bool:
    first, slash, _rest = path.partition("/")
    forms = (_MOODLE_FOLDER,) if slash else (_MOODLE, _CANVAS, _CLASSROOM)
    return any(form.fullmatch(first) for form in forms)


def _in_folder(folder: Path) -> Iterator[_Found]:
    for path in sorted(folder.rglob("*.ipynb")):
        name = path.relative_to(folder).as_posix()
        if _CHECKPOINTS in path.parts:
            continue
        about = path.lstat()
        problem = ""
        if not stat.S_ISREG(about.st_mode):
            problem = _no_file()
        elif about.st_size > MOST_BYTES:
            problem = _too_large(about.st_size)
        yield _Found(_text(name), functools.partial(_bytes, functools.partial(_plain, path), about.st_size), problem)


def _in_zip(path: Path) -> Iterator[_Found]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        text = _("{path} is damaged, or no zip that can be read: {error}. Download it again.")
        raise SettingsError(text.format(path=path, error=error)) from error
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.suffix != ".ipynb" or "__MACOSX" in name.parts or _CHECKPOINTS in name.parts:
            continue
        problem = ""
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            problem = _no_file()
        elif member.flag_bits & 1:
            problem = _("It is encrypted, and was not opened.")
        elif member.file_size > MOST_BYTES:
            problem = _too_large(member.file_size)
        inside = "/".join(part for part in name.parts if part not in ("..", "/"))
        opened = functools.partial(_member, path, member)
        yield _Found(_text(inside), functools.partial(_bytes, opened, member.file_size), problem)


def _no_file() -> str:
    return _("This is a link or no plain file; it was not opened.")


def _text(path: str) -> str:
    # A name may hold bytes that are no text, and signs for the terminal.
    return printable_name(path.encode("utf-8", "replace").decode())


@contextlib.contextmanager
def _plain(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        yield file


@contextlib.contextmanager
def _member(path: Path, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        yield file


def _bytes(opened: Callable[[], contextlib.AbstractContextManager[IO[bytes]]], size: int) -> bytes:
    """A notebook's bytes without its outputs, read no further than the size that was announced.

    Raises:
        CannotRead: it is damaged, may not be read, or too large.
    """
    with _one_large if size > LARGE else contextlib.nullcontext():
        try:
            with opened() as file:
                data = bare(file.read(size))
        except TooMuch as error:
            raise CannotRead(_too_large(size)) from error
        except Exception as error:  # a zip may be broken in many ways; its other files are graded
            text = _("The file cannot be read; it may be damaged ({error}).")
            raise CannotRead(text.format(error=type(error).__name__)) from error
    if len(data) > MOST_KEPT:
        raise CannotRead(_too_large(len(data)))
    return data


def _too_large(size: int) -> str:
    text = _("The notebook has {n} MB, more than is read. Clear its outputs and hand it in again.")
    return text.format(n=size // 10**6)
