"""The ids of an answer's tokens as they were generated: its text, made tokens again, may give others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from courselib.answers.stream import Token
from courselib.engines.server import Server
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.observe.logits import BreaksOff, ask, pieces_of

Ids = tuple[tuple[int, ...], ...]


def answer_ids(
    server: Server, tokens: Sequence[Token], body: dict[str, Any], breaks_off: BreaksOff | None = None
) -> Ids:
    """The ids of a chat answer that was streamed, checked against the bytes that came.

    llama.cpp's stream gives several tokens that make one character as one, with the id of the last. It is then asked
    the same again, not streamed, where it gives all of them (``return_tokens``, llama.cpp b11549).

    Args:
        server: who answered, always with the most likely token.
        tokens: the answer as it came.
        body: what was asked, for ``/v1/chat/completions``.
        breaks_off: as of ``courselib.observe.logits.ask``.

    Returns:
        For each token of the stream its id, or the ids of those that came as one.

    Raises:
        SettingsError: the engine does not give them, or answers otherwise when it is asked again.
        RequestError: the server's answer.
    """
    known = tuple((token.id,) for token in tokens if token.id is not None)
    if len(known) < len(tokens):
        text = _("{engine} does not return the ids of this answer's tokens, so no token can be taken apart.")
        raise SettingsError(text.format(engine=server.engine_name))
    if server.engine_name != "llama.cpp":
        return known
    pieces = pieces_of(server)
    if all(pieces[own] == token.data for token, (own,) in zip(tokens, known, strict=True)):
        return known
    asked = {**body, "stream": False, "return_tokens": True, "verbose": True}
    ids = ask(server, "/v1/chat/completions", asked, breaks_off=breaks_off)["__verbose"]["tokens"]
    found = grouped(tokens, ids, pieces)
    if found is None:
        text = _("Asked for the token ids, the engine returned another answer; press Generate, then choose again.")
        raise SettingsError(text)
    return found


def grouped(tokens: Sequence[Token], ids: Sequence[int], pieces: Sequence[bytes]) -> Ids | None:
    """The ids of each token of a stream, where one may stand for several; ``None`` where they are of another text.

    Args:
        tokens: as they were streamed, with their own ids or those of the last they stand for.
        ids: of all tokens generated, or of more.
        pieces: each token's bytes.
    """
    found, at = [], 0
    for token in tokens:
        end, data = at, b""
        while end < len(ids) and (end == at or len(data) < len(token.data)):
            data += pieces[ids[end]]
            end += 1
        group = tuple(ids[at:end])
        if not group or data != token.data or token.id not in (None, group[-1]):
            return None
        found.append(group)
        at = end
    return tuple(found)
