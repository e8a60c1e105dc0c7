"""An engine's report of the next token, made small: a row of 49,152 numbers as about 10 kB of JSON, and back.

The most likely tokens, and those that were named, are kept one by one. Of all others only the log-probabilities are
kept, in steps of 0.05, without their tokens. A panel therefore draws the same picture: the visible tokens, the number
of survivors of a stage, the entropy. Only a bias on a token that was not kept would change another number; a note
says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.i18n import N_, _
from courselib.observe.logits import NextToken
from courselib.panels.looking import Look
from courselib.panels.walk_tree import Node, Tree
from courselib.sampling import Context, ServerSampling, breakers_within
from courselib.sampling.candidates import Floats

KEPT = 150
STEP = 0.05
MOST_TOKENS = 1 << 20
NOTE = N_("This recording holds {n} tokens with their probabilities, and of all others the probabilities alone.")


def pack_piece(piece: bytes) -> str | list[int]:
    """A token's bytes as text, or by their numbers where they are part of a character."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)


def unpack_piece(packed: str | list[int]) -> bytes:
    """A token's bytes.

    Raises:
        ValueError: it is neither text nor bytes. Of a number, ``bytes`` would make as many zeros.
    """
    if not isinstance(packed, str | list):
        raise ValueError("a token that is neither text nor bytes")
    return packed.encode() if isinstance(packed, str) else bytes(packed)


def pack_row(told: NextToken, named: Iterable[int] = (), kept: int = KEPT) -> dict[str, Any]:
    """The row that an engine returned, as JSON.

    Args:
        told: the row.
        named: ids of tokens that are kept, at any probability.
        kept: how many of the most likely tokens are kept.
    """
    order = np.argsort(-told.logprobs, kind="stable")[:kept].tolist()
    ids = [token for token in dict.fromkeys([*order, *sorted(set(named))]) if np.isfinite(told.logprobs[token])]
    rest = np.delete(told.logprobs, ids)
    steps = Counter(np.rint(rest[np.isfinite(rest)] / STEP).astype(int).tolist())
    return {
        "size": int(told.logprobs.size),
        "prompt": list(told.prompt),
        "offset": None if told.offset is None else round(float(told.offset), 4),
        "tokens": [
            [token, round(float(told.logprobs[token]), 5), *([pack_piece(told.pieces[token])] if told.pieces else [])]
            for token in ids
        ],
        "rest": sorted(steps.items(), reverse=True),
        "mass": round(float(np.exp(rest).sum()), 6),
    }


def unpack_row(packed: Mapping[str, Any]) -> NextToken:
    """The row from its JSON; a token that was not kept one by one has its number as text."""
    size = int(packed["size"])
    tokens = packed["tokens"]
    ids = [int(token[0]) for token in tokens]
    if not 0 < size <= MOST_TOKENS or not ids or min(ids) < 0:
        raise ValueError("tokens out of range")
    if max(float(token[1]) for token in tokens) > 0 or max((step for step, _n in packed["rest"]), default=0) > 0:
        raise ValueError("a probability above 1")
    row = np.full(size, -np.inf)
    row[ids] = [float(token[1]) for token in tokens]
    if sum(int(n) for _step, n in packed["rest"]) > size:
        raise ValueError("more tokens than there are")
    others = np.repeat([STEP * step for step, _n in packed["rest"]], [int(n) for _step, n in packed["rest"]])
    free = np.setdiff1d(np.arange(size), ids)
    row[free[: others.size]] = _of_mass(others, float(packed["mass"]))
    pieces = [f"#{token}".encode() for token in range(size)] if len(tokens[0]) > 2 else []
    for token in tokens if pieces else []:
        pieces[int(token[0])] = unpack_piece(token[2])
    offset = packed["offset"]
    prompt = tuple(int(token) for token in packed["prompt"])
    return NextToken(prompt, row, None if offset is None else float(offset), tuple(pieces))


def _of_mass(row: Floats, mass: float) -> Floats:
    """Log-probabilities, shifted to correct the rounding: their probabilities add up to ``mass``."""
    now = float(np.exp(row).sum())
    return row + np.log(mass / now) if mass > 0 < now else row


def pack_look(look: Look, named: Iterable[int] = ()) -> dict[str, Any]:
    """The result of one look as JSON; ``named`` as in ``pack_row``."""
    context = look.context
    return {
        "prompt": look.prompt if isinstance(look.prompt, str) else list(look.prompt),
        "told": pack_row(look.told, {*look.told.prompt, *named}),
        "server": asdict(context.server),
        "defaults": [dict(look.defaults[0]), look.defaults[1]],
    }


def unpack_look(packed: Mapping[str, Any]) -> Look:
    """The result of one look from its JSON."""
    told = unpack_row(packed["told"])
    prompt = packed["prompt"] if isinstance(packed["prompt"], str) else tuple(map(int, packed["prompt"]))
    names, origin = packed["defaults"]
    defaults = {name: CONTROLS[name].check(value) for name, value in names.items()}
    context = Context(told.prompt, breakers=breakers_within(told.pieces), server=_server(packed))
    return Look(prompt, told, np.exp(told.logprobs), context, (defaults, str(origin)))


def _server(packed: Mapping[str, Any]) -> ServerSampling:
    told = packed["server"]
    given: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in told.items()}
    sampling = ServerSampling(**given)
    note = _(NOTE).format(n=len(packed["told"]["tokens"]))
    if not packed["told"]["rest"] or note in sampling.notes:
        return sampling
    return replace(sampling, notes=(*sampling.notes, note))


def pack_tree(tree: Tree) -> dict[str, Any]:
    """The paths taken as JSON, with the engine's rows at the prompt's end and at the current node."""
    named = [node.token for node in tree.nodes[1:]]
    return {
        "look": pack_look(tree.look, named),
        "told": pack_row(tree.told, named) if tree.here else None,
        "here": tree.here,
        "nodes": [
            [node.parent, node.token, pack_piece(node.piece), round(node.probability, 6), node.controls.given()]
            for node in tree.nodes[1:]
        ],
    }


def unpack_tree(packed: Mapping[str, Any]) -> Tree:
    """The paths taken, from their JSON."""
    look, here = unpack_look(packed["look"]), int(packed["here"])
    nodes = [Node()]
    for parent, token, piece, probability, controls in packed["nodes"]:
        if not 0 <= parent < len(nodes):
            raise ValueError("a node before its parent")
        taken = Controls.from_json(json.dumps(controls))
        nodes.append(Node(len(nodes), int(parent), int(token), unpack_piece(piece), float(probability), taken))
    tree = Tree(look, ((0, look.told),), tuple(nodes))
    return tree.at(tree.node(here).number, unpack_row(packed["told"])) if here else tree
