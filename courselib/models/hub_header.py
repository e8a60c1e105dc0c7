"""The header of a GGUF on the hub, read by range requests: a few MiB of a file of any size.

The vocabulary lies in front of the tensors' descriptions, so how long a header is shows only at its end: 2 MB for
49,152 tokens, 15 MB for 262,144. It is read in growing pieces until it is whole.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from courselib.errors import DownloadFailed, ModelCorrupt
from courselib.i18n import _
from courselib.models.gguf_file import MAGIC, GgufFile, parse_gguf
from courselib.models.header import GgufHeader, header_of
from courselib.models.hub import HubFile
from courselib.models.hub_errors import explained
from courselib.models.parts import part_names

FIRST_PIECE = 4 << 20
LONGEST_HEADER = 256 << 20
TIMEOUT_S = 10


def hub_header(place: HubFile) -> GgufHeader:
    """A model's header; of a model in several files, all their headers.

    Raises:
        ModelNotFound: no such repository or file, or one that wants a token.
        ModelCorrupt: the file is no whole GGUF of a language model.
        DownloadFailed: no network, or the hub sends no ranges.
    """
    parts = [_read(replace(place, file=name)) for name in part_names(place.file)]
    return header_of(Path(place.file), parts)


def _read(place: HubFile) -> GgufFile:
    data, size, piece = b"", FIRST_PIECE, FIRST_PIECE
    while True:
        more, size = _range(place, len(data), piece)
        data += more
        try:
            return parse_gguf(Path(place.file), data, size)
        except ModelCorrupt:
            if data[: len(MAGIC)] != MAGIC or len(data) >= min(size, LONGEST_HEADER) or not more:
                raise
        piece = len(data)


def _range(place: HubFile, begin: int, length: int) -> tuple[bytes, int]:
    """``length`` bytes from ``begin`` on, or what there is, and the size of the whole file."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    url = hf_hub_url(place.repo, place.file, revision=place.revision)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={begin}-{begin + length - 1}"}
    with explained(place.repo, place.file), get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_S) as got:
        hf_raise_for_status(got)
        _unit, _slash, total = got.headers.get("Content-Range", "").partition("/")
        if total.isdigit():
            return got.read(), int(total)
        if begin == 0 and int(got.headers.get("Content-Length", length + 1)) <= length:  # a small file, sent whole
            data = got.read()
            return data, len(data)
    raise DownloadFailed(
        _("The hub does not send parts of {place}; download the model to read its header.").format(place=place)
    )
