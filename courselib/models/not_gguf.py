"""What a file is that is no GGUF of today, in a sentence that says how to get one."""

from __future__ import annotations

from pathlib import Path

from courselib.i18n import N_, _

# ggml's formats before GGUF, whose magic numbers stand in the file with their bytes reversed.
OLD_FORMATS = {b"lmgg": "ggml", b"fmgg": "ggmf", b"tjgg": "ggjt", b"algg": "ggla"}
LFS = b"version https://git-lfs"
PAGES = (b"<!doctype", b"<html", b"<?xml")
LOOKED_AT = 64

OLD = N_("{path} is in {format}, a format older than GGUF that llama.cpp no longer reads; get the model as GGUF.")
POINTER = N_(
    "{path} is only a pointer of Git LFS to the model; run git lfs pull in its repository, or download the file again."
)
PAGE = N_("{path} is a web page, not a model; in a download address of the hub, write /resolve/ in place of /blob/.")
OTHER = N_("{path} is not a GGUF file (it does not begin with GGUF); llama.cpp needs one.")
BIG_ENDIAN = N_("{path} is a GGUF for big-endian machines, and this one is little-endian; get the usual file.")
TOO_OLD = N_("{path} is GGUF version 1, which llama.cpp no longer reads; get a newer file of the model.")
TOO_NEW = N_("{path} is GGUF version {version}, which this course cannot read yet; get a file of version 3.")

VERSIONS = (2, 3)


def no_gguf_message(path: Path, begin: bytes) -> str:
    """For a file that does not begin with ``GGUF``; ``begin`` are its first bytes."""
    if begin[:4] in OLD_FORMATS or begin[:4] in {name.encode() for name in OLD_FORMATS.values()}:
        name = OLD_FORMATS.get(begin[:4]) or begin[:4].decode()
        return _(OLD).format(path=path, format=name)
    if begin.startswith(LFS):
        return _(POINTER).format(path=path)
    if begin.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(PAGES):
        return _(PAGE).format(path=path)
    return _(OTHER).format(path=path)


def version_message(path: Path, version: int) -> str | None:
    """For a version that cannot be read, None for one that can."""
    if version in VERSIONS:
        return None
    # A small number with its bytes reversed; ggml's own reader looks at the same half (gguf.cpp).
    if version & 0xFFFF == 0:
        return _(BIG_ENDIAN).format(path=path)
    return _(TOO_OLD if version < min(VERSIONS) else TOO_NEW).format(path=path, version=version)
