"""Headers of models that are not here: a GGUF with the entries of one and hardly a tensor."""

import itertools

from courselib.models import gguf_header
from tests.models.small_gguf import small_gguf

numbers = itertools.count()  # another name each time: no other's header is remembered


def header(folder, architecture, *, layers, embedding=2048, heads=32, **entries):
    """A header of that architecture and entries, whose keys go without the architecture's name."""
    facts = {"block_count": layers, "embedding_length": embedding, "attention.head_count": heads, **entries}
    return bare_header(folder, architecture, facts)


def bare_header(folder, architecture, entries):
    """The same with these entries only."""
    path = folder / f"{architecture}-{next(numbers)}.gguf"
    own = {f"{architecture}.{key}": value for key, value in entries.items()}
    path.write_bytes(small_gguf({"general.architecture": architecture, **own}))
    return gguf_header(path)
