"""A KV cache as it was before paging: one contiguous range for each request, reserved when it starts.

Three ways to choose the length of the range, and the buddy allocator that hands it out, are those that the paper on
PagedAttention compares with (Kwon et al., SOSP 2023, arXiv:2309.06180, section 6.1).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

from courselib.checks import check_choice, check_whole
from courselib.memory.paged_cache import Cell

Policy = Literal["max", "pow2", "oracle"]
POLICIES = ("max", "pow2", "oracle")


class ReservedCache:
    """Ranges of a power of two of tokens, each at a multiple of its own length.

    Args:
        size: tokens in all.
        longest: the longest that prompt and answer together may be.
        policy: what is reserved for a request: ``max`` the longest, ``pow2`` the prompt and the next power of two of
            the answer, ``oracle`` the prompt and exactly the answer, which no engine can know.
    """

    def __init__(self, size: int, longest: int, policy: Policy = "max") -> None:
        check_whole("size", size, 1)
        check_whole("longest", longest, 1)
        check_choice("policy", policy, POLICIES)
        self.size, self.longest, self.policy = size, longest, policy
        self._free: list[set[int]] = [set() for _power in range(size.bit_length())]
        at = 0
        for power in reversed(range(size.bit_length())):
            if size >> power & 1:
                self._free[power].add(at)
                at += 1 << power
        self.ranges: dict[Hashable, tuple[int, int]] = {}
        self.lengths: dict[Hashable, int] = {}
        self.stored = self.reserved = 0

    def wanted(self, prompt: int, output: int) -> int:
        """Tokens to reserve: what the policy says, rounded up to a power of two."""
        kept = {"max": self.longest, "pow2": prompt + _round_up(output), "oracle": prompt + output}[self.policy]
        return _round_up(max(kept, prompt + output))

    def start(self, name: Hashable, prompt: int, output: int) -> None:
        """Reserve a range and store the prompt in it.

        Raises:
            IndexError: no free range is long enough, however much is free in all.
        """
        length = self.wanted(prompt, output)
        wanted = power = length.bit_length() - 1
        while power < len(self._free) and not self._free[power]:
            power += 1
        if power >= len(self._free):
            raise IndexError(length)
        at = min(self._free[power])
        self._free[power].remove(at)
        while power > wanted:
            power -= 1
            self._free[power].add(at + (1 << power))
        self.ranges[name], self.lengths[name] = (at, length), prompt
        self.reserved += length
        self.stored += prompt

    def append(self, name: Hashable) -> None:
        """One token more, for which there is room."""
        self.lengths[name] += 1
        self.stored += 1

    def finish(self, name: Hashable) -> None:
        """Free the range, and join it with its neighbour where both are free."""
        at, length = self.ranges.pop(name)
        self.stored -= self.lengths.pop(name)
        self.reserved -= length
        power = length.bit_length() - 1
        while power + 1 < len(self._free) and (at ^ (1 << power)) in self._free[power]:
            self._free[power].remove(at ^ (1 << power))
            at &= ~(1 << power)
            power += 1
        self._free[power].add(at)

    def free_ranges(self) -> list[tuple[int, int]]:
        """Where free ranges begin and how long they are, in order."""
        return sorted((at, 1 << power) for power, starts in enumerate(self._free) for at in starts)

    def cells(self, tokens: int) -> tuple[Cell, ...]:
        """The memory cut into cells of so many tokens, to be drawn beside a paged one."""
        cells = [Cell() for _at in range(-(-self.size // tokens))]
        for name, (at, length) in self.ranges.items():
            for cell in range(at // tokens, -(-(at + length) // tokens)):
                held = min(tokens, max(0, at + self.lengths[name] - cell * tokens))
                cells[cell] = Cell((str(name),), held)
        return tuple(cells)


def _round_up(number: int) -> int:
    """The next power of two."""
    return 1 << max(0, number - 1).bit_length()
