"""A GGUF's weights in another format, to see what the format changes.

The arithmetic is the ``gguf`` package's. Every matrix is written in the one format and vectors (norms, biases) in F32;
llama.cpp's own ``llama-quantize`` mixes formats, by tensor, and knows more of them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from courselib.errors import ModelError
from courselib.i18n import _
from courselib.models.cache import cache_folder, checksum
from courselib.models.made import made_once
from courselib.models.resolve import resolve

if TYPE_CHECKING:
    from gguf import GGUFReader, GGUFWriter, ReaderTensor

FORMATS = ("F32", "F16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")
# Goes up when the same GGUF gives another file.
VERSION = 1
_FORMAT_AT_END = re.compile(r"[.-](?:b?f(?:16|32)|i?q\d\w*)$", re.IGNORECASE)


def requantise(model: str | os.PathLike[str], format: str) -> Path:
    """A copy of a model whose matrices all have one format, made once and kept in the cache.

    Args:
        model: as for ``resolve``.
        format: one of ``FORMATS``. A format finer than the model's own adds bytes and no accuracy: what the first
            quantisation rounded away stays away.

    Returns:
        The GGUF file.

    Raises:
        ModelError: the format is none of these, or the model cannot be had, read or stored.
    """
    if format not in FORMATS:
        text = _("There is no format {format!r} here; there are: {formats}.")
        raise ModelError(text.format(format=format, formats=", ".join(FORMATS)))
    source = resolve(model)
    name = _FORMAT_AT_END.sub("", source.stem)
    target = cache_folder() / "requantised" / f"{checksum(source)}-{VERSION}" / f"{name}.{format}.gguf"
    return made_once(target, lambda made: _make(source, made, format))


def _make(source: Path, made: Path, format: str) -> None:
    from gguf import GGUFReader, GGUFWriter

    reader = GGUFReader(source)
    writer = GGUFWriter(made, reader.fields["general.architecture"].contents())
    _copy_metadata(reader, writer, format)
    for tensor in reader.tensors:
        _add(writer, tensor, format)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter, format: str) -> None:
    from gguf import GGUFValueType, LlamaFileType

    written_by_the_writer = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version")
    for name, field in reader.fields.items():
        if name.startswith(written_by_the_writer):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, inner)
    writer.add_file_type(LlamaFileType["ALL_F32" if format == "F32" else f"MOSTLY_{format}"])
    writer.add_quantization_version(2)


def _add(writer: GGUFWriter, tensor: ReaderTensor, format: str) -> None:
    from gguf import GGMLQuantizationType, quants

    kind = GGMLQuantizationType[format if len(tensor.shape) > 1 else "F32"]
    values = quants.dequantize(tensor.data, tensor.tensor_type)
    writer.add_tensor(tensor.name, quants.quantize(values, kind), raw_dtype=kind)
