"""A real GGUF with some of its facts changed: a model of another kind that still answers.

The change is made in place, so that no other byte of the file moves: a number for a number of the same type, a text
for one at least as long, or no fact at all, for which the key is renamed.
"""

import mmap
import shutil
import struct

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
# What a chat template may end with, without effect.
COMMENT = (b"{#", b"#}")


def patched_gguf(source, target, facts):
    """Copy ``source`` to ``target`` and change ``facts`` there: value by key, None where the key is to be gone.

    A shorter text is filled up with a Jinja comment, which only a chat template takes for nothing. Gives ``target``.
    """
    shutil.copyfile(source, target)
    with target.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        places = _places(data)
        for key, value in facts.items():
            at, kind = places[key]
            if value is None:
                data[at - 5 : at - 4] = b"_"  # the last letter of the key, which is followed by the value's type
            elif kind == STRING:
                _write_text(data, at, value.encode())
            else:
                struct.pack_into("<" + SCALARS[kind], data, at, value)
    return target


def _write_text(data, at, text):
    (room,) = struct.unpack_from("<Q", data, at)
    filling = b""
    if len(text) < room:
        filling = COMMENT[0] + b" " * (room - len(text) - 4) + COMMENT[1]
    assert len(text + filling) == room, f"at most {room - 4} bytes"
    data[at + 8 : at + 8 + room] = text + filling


def _places(data):
    """Where each key's value begins, and of which type it is."""
    (entries,) = struct.unpack_from("<Q", data, 16)
    at, places = 24, {}
    for _entry in range(entries):
        (length,) = struct.unpack_from("<Q", data, at)
        key = data[at + 8 : at + 8 + length].decode()
        (kind,) = struct.unpack_from("<I", data, at + 8 + length)
        at += 12 + length
        places[key] = (at, kind)
        at = _end(data, at, kind)
    return places


def _end(data, at, kind):
    """Where a value ends."""
    if kind == STRING:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind != ARRAY:
        return at + struct.calcsize("<" + SCALARS[kind])
    inner, length = struct.unpack_from("<IQ", data, at)
    at += 12
    if inner != STRING:
        return at + length * struct.calcsize("<" + SCALARS[inner])
    for _item in range(length):
        at = _end(data, at, STRING)
    return at
