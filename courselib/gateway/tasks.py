"""Several pieces of work at once, of which none outlives the others' failure."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup  # which anyio brings along

Result = TypeVar("Result")


@contextlib.asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """A task group of anyio's that raises the first error itself, not in a group, once all its tasks have ended."""
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


async def together(works: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results of all, in their order.

    Raises:
        Exception: one of them has failed; the others have been cancelled and have ended.
    """
    results: dict[int, Result] = {}

    async def keep(index: int, work: Coroutine[Any, Any, Result]) -> None:
        results[index] = await work

    async with task_group() as group:
        for index, work in enumerate(works):
            group.start_soon(keep, index, work)
    return [results[index] for index in sorted(results)]
