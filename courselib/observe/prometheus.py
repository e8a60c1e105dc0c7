"""A real Prometheus of one's own: started in a folder of its own, on this machine alone, ended with the kernel.

    from courselib.observe.prometheus import Prometheus

    with Prometheus({"llama.cpp": server}) as prometheus:
        prometheus.wait_for_scrape()
        print(prometheus.query("llamacpp:requests_processing"))

The program is Debian's package ``prometheus`` (2.42 was tried). A server's key goes into a file that only this user may
read. Prometheus's data end with it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from courselib import network
from courselib.errors import EngineMissing, RequestRefused, SettingsError, StartTimeout, Unreachable
from courselib.files import write_secret
from courselib.i18n import _
from courselib.processes.service import Service, start_service

if TYPE_CHECKING:
    import httpx

    from courselib.engines.server import Server

POLL_S = 0.05
HTTP_TIMEOUT_S = 30.0
READY_TIMEOUT_S = 2.0
# A recording keeps the times at which it was made; the default of 15 days would remove it.
RETENTION = "100y"


@dataclass(frozen=True)
class Target:
    """A server to scrape.

    Args:
        url: the address below which it has ``/metrics``.
        key: sent as a bearer token; ``None`` sends none.
    """

    url: str
    key: str | None = None


@dataclass(frozen=True)
class Sample:
    """One series of an answer: its labels, and its value."""

    labels: Mapping[str, str]
    value: float

    def __str__(self) -> str:
        labels = ", ".join(f"{name}={json.dumps(text)}" for name, text in self.labels.items() if name != "__name__")
        return f"{self.labels.get('__name__', '')}{{{labels}}} {self.value:g}"


def find() -> tuple[str, str]:
    """The programs prometheus and promtool.

    Raises:
        EngineMissing: they are not on the PATH.
    """
    found = shutil.which("prometheus"), shutil.which("promtool")
    if found[0] is None or found[1] is None:
        raise EngineMissing(
            _(
                "There is no program prometheus with promtool on the PATH. On Debian or Ubuntu:"
                " sudo apt install prometheus; for others: https://prometheus.io/download"
            )
        )
    return found[0], found[1]


class Prometheus(Service):
    """A running Prometheus; use it with ``with``, or call ``stop``. It also stops when the kernel ends.

    Args:
        targets: what to scrape, by the name of its job.
        scrape_s: seconds between two scrapes, and between two evaluations of the rules.
        rules: recording and alerting rules, as the YAML text of a file.
        recording: a file in the OpenMetrics format, with times, whose samples are there from the start.

    Raises:
        EngineMissing: Prometheus is not installed.
        SettingsError: Prometheus refuses the rules or the recording.
        EngineDied, StartTimeout: it does not start.
    """

    def __init__(
        self,
        targets: Mapping[str, Server | Target],
        *,
        scrape_s: float = 1.0,
        rules: str = "",
        recording: Path | None = None,
    ) -> None:
        import httpx

        program, _promtool = find()
        if scrape_s < 0.1:
            raise SettingsError(_("scrape_s is {n:g}; give 0.1 seconds or more.").format(n=scrape_s))
        self._targets = len(targets)
        # What has taken its port may never answer.
        options = network.direct_options("http://127.0.0.1")
        with httpx.Client(timeout=READY_TIMEOUT_S, **options) as http:
            self._process, port = start_service(
                "Prometheus",
                write=lambda folder, _port: _write_files(folder, targets, scrape_s, rules, recording),
                command=lambda folder, port: [
                    program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                    f"--storage.tsdb.retention.time={RETENTION}", f"--web.listen-address=127.0.0.1:{port}",
                ],
                is_ready=lambda folder, port: _is_ready(http, folder, port),
            )  # fmt: skip
        self.url = f"http://127.0.0.1:{port}"

    def query(self, promql: str, *, at: float | None = None) -> list[Sample]:
        """Evaluate PromQL at one moment.

        Args:
            promql: an expression whose value is a number for each series.
            at: seconds since 1970; ``None`` for now.

        Raises:
            RequestRefused: Prometheus cannot evaluate it.
            Unreachable: Prometheus has ended.
        """
        data = self._ask("query", {"query": promql, **({} if at is None else {"time": at})})
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        if data["resultType"] != "vector":
            text = _(
                "{promql} has many values for each series; ask query_range, or wrap it in a function such as rate()."
            )
            raise RequestRefused(text.format(promql=promql))
        return [Sample(each["metric"], float(each["value"][1])) for each in data["result"]]

    def query_range(self, promql: str, *, start: float, end: float, step: float) -> list[tuple[Mapping[str, str], Any]]:
        """Evaluate PromQL at many moments, ``step`` seconds apart.

        Returns:
            For each series its labels, and a list of pairs: seconds since 1970, and the value then.

        Raises:
            RequestRefused: Prometheus cannot evaluate it.
            Unreachable: Prometheus has ended.
        """
        data = self._ask("query_range", {"query": promql, "start": start, "end": end, "step": step})
        return [(each["metric"], [(t, float(v)) for t, v in each["values"]]) for each in data["result"]]

    def scrape_errors(self) -> dict[str, str]:
        """For each job, why its last scrape failed; empty where it did not."""
        return {each["labels"]["job"]: each["lastError"] for each in self._ask("targets", {})["activeTargets"]}

    def wait_for_scrape(self, timeout_s: float = 60.0) -> None:
        """Return once every target has been scraped after this call, with success or not.

        Raises:
            StartTimeout: that takes longer than ``timeout_s``.
            Unreachable: Prometheus has ended.
        """
        since, deadline = time.time(), time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            # ``timestamp`` is the moment of the scrape; ``up`` is 0 where it failed.
            if self._targets == sum(each.value > since for each in self.query("timestamp(up)")):
                return
            time.sleep(POLL_S)
        raise StartTimeout(_("No scrape of all targets within {n:g} s; see scrape_errors().").format(n=timeout_s))

    def _ask(self, route: str, parameters: Mapping[str, Any]) -> Any:
        import httpx

        try:
            with self._client() as http:
                answer = http.get(f"/api/v1/{route}", params=parameters)
            body = answer.json()
        except (httpx.TransportError, ValueError) as error:
            text = _("Prometheus does not answer at {url}; it may have been stopped. Start a new one.")
            raise Unreachable(text.format(url=self.url), details=str(error)) from None
        if body["status"] != "success":
            raise RequestRefused(_("Prometheus refused the query: {words}.").format(words=body["error"].rstrip(".")))
        return body["data"]

    def _client(self) -> httpx.Client:
        import httpx

        return httpx.Client(base_url=self.url, timeout=HTTP_TIMEOUT_S, **network.direct_options(self.url))


def _is_ready(http: httpx.Client, folder: Path, port: int) -> bool:
    import httpx

    url = f"http://127.0.0.1:{port}"
    with contextlib.suppress(httpx.TransportError, ValueError, LookupError, TypeError):
        if http.get(f"{url}/-/ready").status_code == 200:
            # Another Prometheus may have taken the port.
            flags = http.get(f"{url}/api/v1/status/flags").json()["data"]
            return bool(flags["storage.tsdb.path"] == f"{folder}/data")
    return False


def _write_files(
    folder: Path, targets: Mapping[str, Server | Target], scrape_s: float, rules: str, recording: Path | None
) -> None:
    keys = {job: folder / f"key-{at}" for at, (job, target) in enumerate(targets.items()) if target.key}
    for job, path in keys.items():
        write_secret(path, targets[job].key or "")
    (folder / "prometheus.yml").write_text(configuration(targets, keys, scrape_s), encoding="utf-8")
    (folder / "rules.yml").write_text(rules or "groups: []\n", encoding="utf-8")
    promtool("check", "config", "prometheus.yml", folder=folder)
    if recording:
        promtool("tsdb", "create-blocks-from", "openmetrics", str(recording.absolute()), "data", folder=folder)


def configuration(targets: Mapping[str, Server | Target], keys: Mapping[str, Path], scrape_s: float) -> str:
    """Prometheus's configuration, as YAML.

    Args:
        targets: what to scrape, by the name of its job.
        keys: for a job whose server wants a key, the file that holds it.
        scrape_s: seconds between two scrapes.
    """
    interval = f"{round(1000 * scrape_s)}ms"
    lines = [
        "global:",
        f"  scrape_interval: {interval}",
        f"  scrape_timeout: {interval}",
        f"  evaluation_interval: {interval}",
        "rule_files: [rules.yml]",
        "scrape_configs:" if targets else "scrape_configs: []",
    ]
    for job, target in targets.items():
        parts = urlsplit(target.url)
        lines += [f"- job_name: {json.dumps(job)}"]
        if parts.scheme == "https":
            lines += ["  scheme: https"]
        if parts.path.rstrip("/"):
            lines += [f"  metrics_path: {json.dumps(parts.path.rstrip('/') + '/metrics')}"]
        if job in keys:
            lines += ["  authorization:", f"    credentials_file: {json.dumps(str(keys[job]))}"]
        lines += ["  static_configs:", f"  - targets: [{json.dumps(parts.netloc)}]"]
    return "\n".join(lines) + "\n"


def promtool(*words: str, folder: Path) -> str:
    """Run Prometheus's own tool in a folder, and return what it writes.

    Raises:
        EngineMissing: it is not installed.
        SettingsError: it finds a mistake; its words are in the details.
    """
    done = subprocess.run([find()[1], *words], cwd=folder, capture_output=True, text=True, check=False)
    written = done.stdout + done.stderr
    if done.returncode:
        lines = [line.strip() for line in written.splitlines() if line.strip()]
        text = _("promtool finds a mistake: {words}. The details show all it writes.")
        raise SettingsError(text.format(words=lines[-1].rstrip(".") if lines else "?"), details=written)
    return written
