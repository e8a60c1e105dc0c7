"""How the gateway keeps its connections to llama-server."""

import asyncio

import pytest

from courselib.gateway import llama_client
from courselib.gateway.limits import Backend

# cpp-httplib's CPPHTTPLIB_KEEPALIVE_TIMEOUT_SECOND, after which llama-server closes an idle connection.
CLOSED_BY_THE_SERVER_S = 5


@pytest.mark.parametrize(("keep_s", "connections"), [(-1.0, 3), (60.0, 1)], ids=["too old", "young enough"])
def test_an_idle_connection_is_used_again_while_it_is_young(monkeypatch, keep_s, connections):
    monkeypatch.setattr(llama_client, "KEEP_ALIVE_S", keep_s)

    async def scenario():
        opened, closed = 0, asyncio.Event()

        async def serve(reader, writer):
            nonlocal opened
            opened += 1
            while await reader.readline():
                while (await reader.readline()).strip():
                    pass
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            closed.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            client = llama_client.LlamaClient(Backend(url=f"http://127.0.0.1:{port}", key="k", version=""))
            for _ in range(3):
                assert await client.is_healthy()
            await client.close()
            await asyncio.wait_for(closed.wait(), 10)
        return opened

    assert asyncio.run(scenario()) == connections


def test_young_means_well_before_the_server_closes_it():
    assert llama_client.KEEP_ALIVE_S < CLOSED_BY_THE_SERVER_S - 1
