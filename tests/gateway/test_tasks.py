"""Of several pieces of work at once, none outlives the failure of another."""

import asyncio

import anyio
import pytest

from courselib.gateway.tasks import task_group, together


def test_results_come_in_the_order_of_the_works():
    async def scenario():
        second_is_done = anyio.Event()

        async def first():
            await second_is_done.wait()
            return 1

        async def second():
            second_is_done.set()
            return 2

        return await together([first(), second()])

    assert asyncio.run(scenario()) == [1, 2]


def test_a_failure_ends_the_others_before_it_is_raised():
    ended = []

    async def endless(name):
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(name)

    async def scenario():
        async def fail():
            await anyio.lowlevel.checkpoint()
            raise ValueError("refused")

        with pytest.raises(ValueError, match="refused"):
            await together([endless("before"), fail(), endless("after")])
        assert sorted(ended) == ["after", "before"]

    asyncio.run(scenario())


def test_the_first_error_comes_out_of_groups_within_groups():
    async def scenario():
        async with task_group(), task_group():
            raise KeyError("a")

    with pytest.raises(KeyError) as raised:
        asyncio.run(scenario())
    assert raised.value.__cause__ is None
