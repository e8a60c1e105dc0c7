"""Attention of one head, computed whole and in tiles, with every byte counted that slow memory moves.

    from courselib.memory.attention import SlowMemory, tiled, whole

    memory = SlowMemory(q, k, v)
    whole(memory)
    memory.moved, memory.operations

A GPU has a large memory beside its chip (HBM) and a small, fast one on it (SRAM). Both functions read from and write to
the large one through ``SlowMemory`` alone; what they hold in between stands for the small one.

``whole`` is algorithm 0 of FlashAttention (arXiv 2205.14135): all scores are written out, and then their softmax.
``tiled`` goes over its tiles in the order of FlashAttention-2 (arXiv 2307.08691): a tile of queries stays while the
tiles of keys and values pass it. The tests hold both against the formula in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from courselib.checks import check_whole
from courselib.errors import SettingsError
from courselib.i18n import _


@dataclass
class SlowMemory:
    """The large memory: the queries, keys and values of one head, and whatever is written there.

    Args:
        q, k, v: the inputs, each of shape (tokens, width).
        read, written: bytes moved so far.
        operations: multiplications and additions of matrix products so far.
        fast: the most bytes that were in the fast memory at one time, as ``holds`` was called.

    Raises:
        SettingsError: the shapes do not fit together.
    """

    q: NDArray[np.floating]
    k: NDArray[np.floating]
    v: NDArray[np.floating]
    read: int = 0
    written: int = 0
    operations: int = 0
    fast: int = 0
    _arrays: dict[str, NDArray[np.floating]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.q.ndim != 2 or self.q.shape != self.k.shape or self.k.shape != self.v.shape or not self.q.size:
            raise SettingsError(_("q, k and v must have one shape, (tokens, width), with a token at least."))
        self._arrays = {"q": self.q, "k": self.k, "v": self.v}

    @property
    def tokens(self) -> int:
        """Tokens of the text."""
        return len(self.q)

    @property
    def scale(self) -> float:
        """What scores are multiplied by: one over the root of a head's width."""
        return float(1 / np.sqrt(self.q.shape[1]))

    @property
    def moved(self) -> int:
        """Bytes read and written."""
        return self.read + self.written

    @property
    def size(self) -> int:
        """Bytes of all that has a place here."""
        return sum(array.nbytes for array in self._arrays.values())

    def load(self, name: str, rows: slice = slice(None)) -> NDArray[np.floating]:
        """Rows of an array, read from here."""
        found = self._arrays[name][rows]
        self.read += found.nbytes
        return found

    def store(self, name: str, value: NDArray[np.floating], rows: slice = slice(None)) -> None:
        """Write rows of an array; its place for all tokens is taken with its first row."""
        value = value.astype(self.q.dtype, copy=False)
        if name not in self._arrays:
            self._arrays[name] = np.empty((self.tokens, value.shape[1]), self.q.dtype)
        self._arrays[name][rows] = value
        self.written += value.nbytes

    def product(self, a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
        """``a @ b``, counted; sums are in 32 bits at least, as a GPU's are, and the result is rounded once."""
        self.operations += 2 * a.shape[0] * a.shape[1] * b.shape[1]
        exact = np.result_type(self.q.dtype, np.float32)
        product: NDArray[np.floating] = (a.astype(exact) @ b.astype(exact)).astype(self.q.dtype)
        return product

    def holds(self, *arrays: NDArray[np.floating]) -> None:
        """Note what is in the fast memory now."""
        self.fast = max(self.fast, sum(array.nbytes for array in arrays))


def whole(memory: SlowMemory, *, causal: bool = False) -> NDArray[np.floating]:
    """Attention as its formula is written: all scores, their softmax, the weighted sum of values.

    Args:
        memory: holds q, k and v; receives scores, weights and the output.
        causal: whether a token sees itself and earlier ones only.
    """
    scores = memory.product(memory.load("q"), memory.load("k").T) * memory.scale
    memory.store("scores", _masked(scores, 0, 0) if causal else scores)
    scores = memory.load("scores")
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    memory.store("weights", weights / weights.sum(axis=1, keepdims=True))
    output = memory.product(memory.load("weights"), memory.load("v"))
    memory.store("output", output)
    return output


def tiled(memory: SlowMemory, *, rows: int, columns: int, causal: bool = False) -> NDArray[np.floating]:
    """The same numbers from tiles of ``rows`` queries by ``columns`` keys; no score is written to slow memory.

    Args:
        memory: holds q, k and v; receives the output.
        rows: queries that stay in fast memory while all keys pass.
        columns: keys and values fetched at once.
        causal: as for ``whole``; a tile that no query of it may see is left out.

    Raises:
        SettingsError: a tile without rows or columns.
    """
    check_whole("rows", rows, 1)
    check_whole("columns", columns, 1)
    for top in range(0, memory.tokens, rows):
        here = slice(top, min(top + rows, memory.tokens))
        q = memory.load("q", here)
        largest = np.full((len(q), 1), -np.inf, q.dtype)
        total, output = np.zeros_like(largest), np.zeros_like(q)
        for left in range(0, here.stop if causal else memory.tokens, columns):
            there = slice(left, left + columns)
            k, v = memory.load("k", there), memory.load("v", there)
            scores = memory.product(q, k.T) * memory.scale
            scores = _masked(scores, top, left) if causal else scores
            memory.holds(q, k, v, scores, output)
            largest, before = np.maximum(largest, scores.max(axis=1, keepdims=True)), largest
            weights, shrink = np.exp(scores - largest), np.exp(before - largest)
            total = total * shrink + weights.sum(axis=1, keepdims=True)
            output = output * shrink + memory.product(weights, v)
        memory.store("output", output / total, here)
    return memory._arrays["output"]  # the caller's result, not a pass over slow memory


def whole_bytes(tokens: int, width: int, number: int = 2) -> int:
    """Bytes that ``whole`` moves: scores and weights are each written once and read once.

    Args:
        tokens: of the text.
        width: of the head.
        number: bytes of a number.
    """
    return number * (4 * tokens * width + 4 * tokens**2)


def tiled_bytes(tokens: int, width: int, rows: int, number: int = 2) -> int:
    """Bytes that ``tiled`` moves without a causal mask: keys and values are read once for each tile of queries."""
    return number * (2 * tokens * width + 2 * tokens * width * -(-tokens // rows))


def tile_rows(fast: int, width: int, number: int = 2) -> int:
    """Rows of the largest square tile that fits into ``fast`` bytes with queries, keys, values and output; 0 if none.

    The tile's scores are counted as well; FlashAttention's own rule (algorithm 1) leaves them out.
    """
    numbers = fast // number
    return int((np.sqrt(4 * width**2 + numbers) - 2 * width) if numbers > 0 else 0)


def _masked(scores: NDArray[np.floating], top: int, left: int) -> NDArray[np.floating]:
    """Scores with minus infinity where a key comes after its query; the first is query ``top`` and key ``left``."""
    queries = np.arange(top, top + scores.shape[0])[:, None]
    keys = np.arange(left, left + scores.shape[1])[None, :]
    return np.where(keys > queries, -np.inf, scores).astype(scores.dtype, copy=False)
