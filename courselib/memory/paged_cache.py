"""A KV cache in blocks: a pool with reference counts, a block table for each sequence, copy-on-write.

The rules are those of PagedAttention (Kwon et al., SOSP 2023, arXiv:2309.06180, section 4). Only numbers are kept: how
many tokens a block holds and who refers to it, and not the keys and values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from courselib.checks import check_whole
from courselib.errors import SettingsError
from courselib.i18n import _


class BlockPool(Protocol):
    """What a pool of blocks must be able to do; lesson 33 has its reader write one."""

    @property
    def free(self) -> Sequence[int]:
        """The blocks that are free."""

    @property
    def users(self) -> Sequence[int]:
        """By block, how many sequences refer to it."""

    def take(self) -> int:
        """A free block, which now has one user."""

    def share(self, block: int) -> None:
        """One user more."""

    def release(self, block: int) -> None:
        """One user less; a block without users is free."""


class Pool:
    """Blocks 0 to ``blocks`` - 1; the one that has been free the longest is taken first, as in vLLM."""

    def __init__(self, blocks: int) -> None:
        check_whole("blocks", blocks, 1)
        self.free = deque(range(blocks))
        self.users = [0] * blocks

    def take(self) -> int:
        """A free block, which now has one user.

        Raises:
            IndexError: none is free.
        """
        block = self.free.popleft()
        self.users[block] = 1
        return block

    def share(self, block: int) -> None:
        """One user more."""
        self.users[block] += 1

    def release(self, block: int) -> None:
        """One user less; a block without users is free."""
        self.users[block] -= 1
        if not self.users[block]:
            self.free.append(block)


@dataclass(frozen=True)
class Cell:
    """One block as it is at a moment.

    Args:
        owners: the sequences that refer to it; none of a free block.
        tokens: how many tokens it holds.
    """

    owners: tuple[str, ...] = ()
    tokens: int = 0


class PagedCache:
    """Block tables over a pool.

    Args:
        blocks: how many there are.
        block_size: tokens in each.
        pool: makes the pool of so many blocks.
    """

    def __init__(self, blocks: int, block_size: int, pool: Callable[[int], BlockPool] = Pool) -> None:
        check_whole("blocks", blocks, 1)
        check_whole("block_size", block_size, 1)
        self.blocks, self.block_size = blocks, block_size
        self.pool = pool(blocks)
        self.tables: dict[Hashable, list[int]] = {}
        self.lengths: dict[Hashable, int] = {}
        self.copies = 0
        self.stored = 0

    @property
    def size(self) -> int:
        """Tokens that fit if every block is full."""
        return self.blocks * self.block_size

    @property
    def used(self) -> int:
        """Blocks that are not free."""
        return self.blocks - len(self.pool.free)

    @property
    def reserved(self) -> int:
        """Tokens for which there is memory in the blocks in use."""
        return self.used * self.block_size

    def needed(self, prompt: int, samples: int = 1, generated: int = 0) -> int:
        """Blocks of a request at a moment: prompt blocks once, and what each of its samples has for itself."""
        if samples == 1 or not generated:
            return -(-(prompt + generated) // self.block_size)
        shared = prompt // self.block_size
        return shared + samples * (-(-(prompt + generated) // self.block_size) - shared)

    def start(self, name: Hashable, tokens: int) -> None:
        """A new sequence with so many tokens.

        Raises:
            SettingsError: there is such a sequence.
            IndexError: the blocks do not suffice; nothing has changed.
        """
        self._check_new(name)
        number = self.needed(tokens)
        if number > len(self.pool.free):
            raise IndexError(number)
        self.tables[name] = [self.pool.take() for _number in range(number)]
        self.lengths[name] = tokens
        self.stored += tokens

    def fork(self, name: Hashable, child: Hashable) -> None:
        """A second sequence with the same tokens in the same blocks: nothing is copied yet."""
        self._check_new(child)
        for block in self.tables[name]:
            self.pool.share(block)
        self.tables[child] = list(self.tables[name])
        self.lengths[child] = self.lengths[name]

    def append(self, name: Hashable) -> None:
        """One token more. A full last block is followed by a new one; one that others use is copied first.

        Raises:
            IndexError: a block is needed and none is free; nothing has changed.
        """
        length, table, pool = self.lengths[name], self.tables[name], self.pool
        filled = length % self.block_size
        if not filled:
            table.append(pool.take())
        elif pool.users[table[-1]] > 1:
            copy = pool.take()
            pool.release(table[-1])
            table[-1] = copy
            self.copies += 1
            self.stored += filled
        self.lengths[name] = length + 1
        self.stored += 1

    def finish(self, name: Hashable) -> None:
        """The sequence ends; blocks that no other sequence uses are free again."""
        left = self.lengths.pop(name)
        for block in self.tables.pop(name):
            if self.pool.users[block] == 1:
                self.stored -= min(left, self.block_size)
            self.pool.release(block)
            left -= self.block_size

    def cells(self) -> tuple[Cell, ...]:
        """Every block as it is now."""
        owners: list[list[str]] = [[] for _block in range(self.blocks)]
        tokens = [0] * self.blocks
        for name, table in self.tables.items():
            for number, block in enumerate(table):
                owners[block].append(str(name))
                tokens[block] = min(self.block_size, self.lengths[name] - number * self.block_size)
        return tuple(Cell(tuple(who), held) for who, held in zip(owners, tokens, strict=True))

    def _check_new(self, name: Hashable) -> None:
        if name in self.tables:
            raise SettingsError(_("There is a sequence {name!r} already; finish it first.").format(name=name))
