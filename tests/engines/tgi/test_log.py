"""What a start tells in TGI's log, line by line as TGI 3 writes it."""

from courselib.engines.tgi.engine import ENGINE

# Lines of public logs of TGI 3 on a GPU, shortened.
LINES = {
    "container courselib-tgi-8080": "starting",
    "INFO download: text_generation_launcher: Starting check and download process for o/m": "looking for the weights",
    "INFO text_generation_launcher: Download file: model-00001-of-00004.safetensors": "downloading weights",
    "INFO text_generation_launcher: Downloaded /data/model-00001-of-00004.safetensors": "downloading weights",
    "INFO shard-manager: text_generation_launcher: Starting shard rank=0": "loading weights",
    "INFO shard-manager: text_generation_launcher: Shard ready in 12.5s rank=0": "opening the server",
    "INFO text_generation_router_v3: backends/v3/src/lib.rs:125: Warming up model": "warming up",
    "INFO text_generation_router_v3: Setting max batch total tokens to 43808": "warming up",
    "INFO text_generation_router: router/src/server.rs:1889: Connected": "ready",
}


def test_phases_follow_the_log():
    log = ""
    for line, phase in LINES.items():
        log += line + "\n"
        assert ENGINE.passed(log)[-1] == phase


def test_the_kv_cache_is_told_in_tokens(monkeypatch):
    monkeypatch.setattr("courselib.engines.tgi.docker.container_bytes", lambda name: 0)
    memory = ENGINE.memory("\n".join(LINES), rss=5)
    assert (memory.rss, memory.kv_cache_tokens, memory.kv_cache) == (0, 43808, None)
    assert ENGINE.memory("no container here", rss=5).rss == 5
