"""The scale of metrics on recorded pages of each engine, and Prometheus on live ones."""

import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

import courselib
from courselib.engines.registry import get_engine
from courselib.errors import EngineMissing, RequestRefused, SettingsError, Unreachable
from courselib.observe import metrics, prometheus, recorded
from courselib.observe.load import Request, run_load
from courselib.observe.percentiles import percentile
from courselib.observe.prometheus import Prometheus, Target
from courselib.processes import service
from tests.waiting import wait_until

PAGES = {"llama.cpp": "llamacpp.txt", "vllm": "vllm.txt", "tgi-gateway": "tgi_gateway.txt"}
LACKS = {"llama.cpp": {"kv_use", "ttft"}, "vllm": set(), "tgi-gateway": {"kv_use", "cached_tokens", "ttft"}}


def page(engine):
    return (Path(__file__).parent / "recorded" / PAGES[engine]).read_text()


@pytest.mark.parametrize("engine", PAGES)
def test_a_recorded_page_is_read_as_the_engine_itself_reads_it(engine):
    """Written twice: the scale knows series by name, an engine by its own code."""
    reading = metrics.read(engine, page(engine))
    answers = httpx.MockTransport(lambda _request: httpx.Response(200, text=page(engine)))
    with httpx.Client(base_url="http://recorded", transport=answers) as http:
        known = get_engine(engine).metrics(http)
    for name in ("running", "waiting", "prompt_tokens", "cached_tokens", "generated_tokens"):
        assert getattr(reading, name) == getattr(known, name), name
    assert reading.generated_tokens > 0
    assert set(reading.lacks) == LACKS[engine]
    assert all(getattr(reading, name) is None for name in reading.lacks)


def test_vllm_has_a_full_scale():
    reading = metrics.read("vllm", page("vllm"))
    assert (reading.running, reading.waiting) == (4, 6)
    assert 0 < reading.kv_use < 1
    counts = list(reading.ttft.buckets.values())
    assert counts == sorted(counts) and counts[-1] == reading.ttft.count > 0
    assert list(reading.ttft.buckets)[-1] == float("inf") and reading.ttft.sum > 0


def test_real_tgi_has_the_names_of_its_gateway_and_a_cache():
    """TGI's page is not recorded: the name of its counter of cached tokens comes from its source code."""
    text = page("tgi-gateway") + "# TYPE tgi_request_skipped_tokens summary\ntgi_request_skipped_tokens_sum 5\n"
    assert metrics.read("tgi", text).cached_tokens == 5
    assert "tgi_request_skipped_tokens_sum" in metrics.read("tgi", page("tgi-gateway")).lacks["cached_tokens"]


def test_several_label_sets_are_added_and_of_shares_the_largest_counts():
    text = 'vllm:num_requests_waiting{engine="0"} 2\nvllm:num_requests_waiting{engine="1"} 3\n'
    text += 'vllm:kv_cache_usage_perc{engine="0"} 0.5\nvllm:kv_cache_usage_perc{engine="1"} 0.75\n'
    reading = metrics.read("vllm", text)
    assert (reading.waiting, reading.kv_use, reading.ttft) == (5, 0.75, None)
    assert "another one" in reading.lacks["ttft"]


def test_what_is_no_page_of_metrics_is_refused():
    with pytest.raises(RequestRefused, match="not a page of metrics"):
        metrics.read("vllm", "<html>no</html>")
    with pytest.raises(SettingsError, match=r"'lamma' are not known; take one of llama.cpp, vllm"):
        metrics.read("lamma", "")


def test_every_engine_has_each_name_of_the_scale():
    assert {name: set(sources) for name, sources in metrics.SOURCES.items()} == {
        engine: set(metrics.SCALE) for engine in metrics.SOURCES
    }


def test_a_missing_prometheus_is_named_with_what_brings_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineMissing, match="sudo apt install prometheus"):
        Prometheus({})


def test_a_server_behind_a_proxy_and_one_without_a_key_are_configured():
    targets = {"a": Target("https://example.org/llm/", "secret"), "b": Target("http://127.0.0.1:8080")}
    text = prometheus.configuration(targets, {"a": Path("/key")}, 1.5)
    assert "scheme: https" in text and 'metrics_path: "/llm/metrics"' in text and 'targets: ["example.org"]' in text
    assert "scrape_interval: 1500ms" in text and text.count("credentials_file") == 1 and "secret" not in text


RULES = """
groups:
- name: saturation
  rules:
  - {alert: RequestsWait, expr: "job:waiting:sum > 0", for: 1m}
"""
TESTS = """
rule_files: [scale.yml, alert.yml]
evaluation_interval: 15s
tests:
- interval: 15s
  input_series:
  - {series: 'llamacpp:requests_deferred{job="llama.cpp"}', values: "0+0x4 2+0x20"}
  - {series: 'vllm:num_requests_waiting{job="vllm",engine="0"}', values: "1+0x30"}
  - {series: 'vllm:num_requests_waiting{job="vllm",engine="1"}', values: "2+0x30"}
  - {series: 'tgi_queue_size{job="tgi"}', values: "0+0x30"}
  - {series: 'vllm:kv_cache_usage_perc{job="vllm",engine="0"}', values: "0.5+0x30"}
  - {series: 'vllm:kv_cache_usage_perc{job="vllm",engine="1"}', values: "0.75+0x30"}
  - {series: 'vllm:prompt_tokens_total{job="vllm",engine="0"}', values: "0+30x30"}
  - {series: 'vllm:prompt_tokens_cached_total{job="vllm",engine="0"}', values: "0+15x30"}
  - {series: 'tgi_request_generated_tokens_sum{job="tgi"}', values: "0+30x30"}
  promql_expr_test:
  - {expr: "job:waiting:sum", eval_time: 5m, exp_samples: [
     {labels: 'job:waiting:sum{job="llama.cpp"}', value: 2},
     {labels: 'job:waiting:sum{job="vllm"}', value: 3}, {labels: 'job:waiting:sum{job="tgi"}', value: 0}]}
  - {expr: "job:kv_use:max", eval_time: 5m, exp_samples: [{labels: 'job:kv_use:max{job="vllm"}', value: 0.75}]}
  - {expr: "job:prompt_tokens:rate1m", eval_time: 5m, exp_samples: [
     {labels: 'job:prompt_tokens:rate1m{job="vllm"}', value: 1}]}
  - {expr: "job:generated_tokens:rate1m", eval_time: 5m, exp_samples: [
     {labels: 'job:generated_tokens:rate1m{job="tgi"}', value: 2}]}
  alert_rule_test:
  - {alertname: RequestsWait, eval_time: 30s, exp_alerts: []}
  - {alertname: RequestsWait, eval_time: 5m, exp_alerts: [
     {exp_labels: {job: llama.cpp}}, {exp_labels: {job: vllm}}]}
"""


def test_the_scale_as_rules_adds_what_engines_publish(prometheus_programs, tmp_path):
    (tmp_path / "scale.yml").write_text(metrics.recording_rules())
    (tmp_path / "alert.yml").write_text(RULES)
    (tmp_path / "tests.yml").write_text(TESTS)
    assert "SUCCESS" in prometheus.promtool("test", "rules", "tests.yml", folder=tmp_path)
    (tmp_path / "alert.yml").write_text(RULES.replace("> 0", ">= 0"))
    with pytest.raises(SettingsError, match="promtool finds a mistake") as found:
        prometheus.promtool("test", "rules", "tests.yml", folder=tmp_path)
    assert "RequestsWait" in found.value.details


def test_rules_that_prometheus_refuses_leave_nothing_behind(prometheus_programs, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("courselib.processes.process.short_folder", lambda: str(tmp_path))
    with pytest.raises(SettingsError, match="promtool finds a mistake"):
        Prometheus({"a": Target("http://127.0.0.1:1", "secret")}, rules="groups: [")
    assert list(tmp_path.iterdir()) == []


def test_a_recording_gives_its_p95_in_promql(prometheus_programs):
    """By the buckets, 34 of 40 are below 80 s and six below 160 s: the 38th is taken to be four sixths further."""
    seen = recorded.vllm()
    buckets = "increase(vllm:time_to_first_token_seconds_bucket[230s])"
    with Prometheus({}, recording=seen.path) as past:
        [sample] = past.query(f"histogram_quantile(0.95, sum by (le) ({buckets}))", at=seen.end_s)
        [(labels, points)] = past.query_range("vllm:num_requests_waiting", start=seen.begin_s, end=seen.end_s, step=10)
    assert sample.value == pytest.approx(80 + 80 * 4 / 6)
    assert 80 < percentile(seen.ttft_s, 95) < 160
    assert labels["model_name"] == "smollm2-135m" and max(value for _at, value in points) == 6


def test_a_port_that_another_program_has_taken_meanwhile_is_given_up(prometheus_programs, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = [other.getsockname()[1], service.free_port()]
        monkeypatch.setattr(service, "free_port", lambda: ports.pop(0))
        with Prometheus({}) as seen:
            assert seen.query("1")[0].value == 1 and ports == []


ALONE = """
import time
from courselib.observe.prometheus import Prometheus, Target
seen = Prometheus({"a": Target("http://127.0.0.1:1", "secret")})
print(seen.folder, seen._process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing here ends a process without a word to it")
def test_a_kernel_that_is_killed_takes_prometheus_and_the_key_with_it(prometheus_programs):
    with subprocess.Popen([sys.executable, "-c", ALONE], stdout=subprocess.PIPE, text=True) as kernel:
        folder, pid = kernel.stdout.readline().split()
        assert (Path(folder) / "key-0").read_text() == "secret" and psutil.pid_exists(int(pid))
        kernel.kill()
    wait_until(lambda: not Path(folder).exists() and not psutil.pid_exists(int(pid)))


def test_scrapes_without_a_pause_are_refused(prometheus_programs):
    with pytest.raises(SettingsError, match=r"scrape_s is 0; give 0.1"):
        Prometheus({}, scrape_s=0)


@pytest.mark.engine
def test_prometheus_scrapes_a_live_server_with_its_key(prometheus_programs):
    with courselib.launch("llama.cpp", context=512, parallel=2) as server:
        assert run_load(server, [[Request((1, 2, 3), 8)]], limit_s=200).failed == ()
        speeds = [server.metrics().raw["llamacpp:predicted_tokens_seconds"] for _reading in range(2)]
        assert speeds[0] > 0 == speeds[1], "each reading empties this gauge, as lesson 50 says"
        targets = {"llama.cpp": server, "no key": Target(server.url)}
        with Prometheus(targets, rules=metrics.recording_rules()) as seen:
            folder = seen.folder
            assert stat.S_IMODE((folder / "key-0").stat().st_mode) == 0o600
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert server.key not in (folder / "prometheus.yml").read_text()
            load = run_load(server, [[Request((1, 2, 3), 8)]], limit_s=200)
            assert load.failed == ()

            def values(promql):
                return {sample.labels["job"]: sample.value for sample in seen.query(promql)}

            # A scrape of a crowded machine may come too late: one that works is waited for.
            wait_until(lambda: values("llamacpp:tokens_predicted_total").get("llama.cpp", 0) >= 16, timeout_s=120)
            seen.wait_for_scrape()
            assert values("max_over_time(up[5m])") == {"llama.cpp": 1, "no key": 0}
            assert "401" in seen.scrape_errors()["no key"]
            wait_until(lambda: "llama.cpp" in values("job:waiting:sum"), timeout_s=120)
            assert (
                metrics.read_server(server).generated_tokens == values("llamacpp:tokens_predicted_total")["llama.cpp"]
            )
            with pytest.raises(RequestRefused, match=r"Prometheus refused the query: .*parse error"):
                seen.query("rate(")
            with pytest.raises(RequestRefused, match="query_range"):
                seen.query("up[1m]")
        assert not folder.exists()
        with pytest.raises(Unreachable, match="may have been stopped"):
            seen.query("up")
