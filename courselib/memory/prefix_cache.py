"""Which tokens of a prompt vLLM finds in its KV cache, and how many blocks it uses: an account kept beside the engine.

vLLM 0.32 shares by content. A full block is known by its tokens and by the block before it; a later prompt that begins
with the same tokens refers to the same blocks, running or not. A freed block keeps its content until it is taken for
something else, the one free the longest first. Blocks that are not full are never shared, so nothing is ever copied.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from courselib.checks import check_whole


@dataclass
class Tracked:
    """A sequence that runs.

    Args:
        tokens: those whose keys and values are stored.
        table: its blocks, in order.
        contents: by full block, what stands for its tokens and all before them.
        cached: how many tokens of the prompt were found.
    """

    tokens: list[int]
    table: list[int] = field(default_factory=list)
    contents: list[int] = field(default_factory=list)
    cached: int = 0


class PrefixCache:
    """Blocks, their content, and the two counters that vLLM keeps of them.

    Args:
        blocks: as many as the engine reports; one of them is never used (vLLM's null block).
        block_size: tokens in each.
    """

    def __init__(self, blocks: int, block_size: int) -> None:
        check_whole("blocks", blocks, 2)
        check_whole("block_size", block_size, 1)
        self.block_size = block_size
        self.usable = blocks - 1
        self.queries = self.hits = 0
        # In the order in which they will be taken; as a dict, because a hit takes one out of the middle.
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(1, blocks))
        self._users = [0] * blocks
        # Equal beginnings have equal numbers, whatever blocks they are in; several blocks may hold the same.
        self._numbers: dict[tuple[int, tuple[int, ...]], int] = {}
        self._holders: dict[int, dict[int, None]] = {}
        self._content: dict[int, int] = {}

    @property
    def used(self) -> int:
        """Blocks that running sequences refer to."""
        return self.usable - len(self._free)

    @property
    def usage(self) -> float:
        """What vLLM reports as ``vllm:kv_cache_usage_perc``: from 0 to 1."""
        return self.used / self.usable

    def start(self, prompt: Sequence[int]) -> Tracked:
        """A request with this prompt is admitted.

        Full blocks that are known are shared; never all of the prompt, because the last token has to be computed.

        Raises:
            IndexError: the blocks do not suffice; nothing has changed but the counters.
        """
        self.queries += len(prompt)
        contents, found = self._lookup(prompt)
        free = len(self._free) - sum(not self._users[block] for block in found)
        if -(-len(prompt) // self.block_size) - len(found) > free:
            raise IndexError(len(prompt))
        cached = len(found) * self.block_size
        self.hits += cached
        for block in found:
            self._free.pop(block, None)
            self._users[block] += 1
        sequence = Tracked(list(prompt[:cached]), found, contents, cached)
        for token in prompt[sequence.cached :]:
            self.append(sequence, token)
        return sequence

    def append(self, sequence: Tracked, token: int) -> None:
        """Keys and values of one token more are stored.

        Raises:
            IndexError: a block is needed and none is free; nothing has changed.
        """
        if len(sequence.tokens) % self.block_size == 0:
            sequence.table.append(self._take())
        sequence.tokens.append(token)
        if len(sequence.tokens) % self.block_size == 0:
            self._remember(sequence)

    def finish(self, sequence: Tracked) -> None:
        """The sequence ends. Its last blocks are the first to be taken: beginnings are what others share."""
        for block in reversed(sequence.table):
            self._users[block] -= 1
            if not self._users[block]:
                self._free[block] = None
        sequence.table.clear()

    def _lookup(self, prompt: Sequence[int]) -> tuple[list[int], list[int]]:
        """Contents that are in blocks, and these blocks."""
        contents: list[int] = []
        found: list[int] = []
        for end in range(self.block_size, len(prompt), self.block_size):
            content = self._number(contents, prompt[end - self.block_size : end])
            holders = self._holders.get(content)
            if not holders:
                break
            contents.append(content)
            found.append(next(iter(holders)))
        return contents, found

    def _number(self, before: list[int], tokens: Sequence[int]) -> int:
        return self._numbers.setdefault((before[-1] if before else -1, tuple(tokens)), len(self._numbers))

    def _take(self) -> int:
        if not self._free:
            raise IndexError("no block is free")
        block, _nothing = self._free.popitem(last=False)
        self._users[block] = 1
        overwritten = self._content.pop(block, None)
        if overwritten is not None:
            del self._holders[overwritten][block]
        return block

    def _remember(self, sequence: Tracked) -> None:
        """The last block has become full."""
        content = self._number(sequence.contents, sequence.tokens[-self.block_size :])
        sequence.contents.append(content)
        self._holders.setdefault(content, {})[sequence.table[-1]] = None
        self._content[sequence.table[-1]] = content
