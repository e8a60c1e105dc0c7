"""The echo engine: a server that answers with the last words of its prompt."""

import sys
from dataclasses import dataclass

from courselib.engines.base import Command, Engine, EngineSettings, Metrics, parse_prometheus
from courselib.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class EchoSettings(EngineSettings):
    """Settings of the echo engine.

    Args:
        words: how many words it repeats, 1 or more.
    """

    words: int = 1

    def __post_init__(self):
        super().__post_init__()
        if self.words < 1:
            raise SettingsError(f"words is {self.words}; choose 1 or more.")


class Echo(Engine):
    """An engine in one small file."""

    name = "echo"
    settings_type = EchoSettings

    def prepare(self, settings):
        """There is nothing to fetch."""
        return settings

    def command(self, settings, *, port, key):
        """Its server's command; the key goes by environment."""
        words = ["-m", "echo_engine.server", settings.host, str(port), str(settings.words)]
        return Command(run=[sys.executable, *words], shown=["python", *words], environment={"ECHO_KEY": key})

    def recognise(self, http):
        """Its server names itself."""
        return http.get("/health").headers.get("server", "").startswith("echo-engine")

    def metrics(self, http):
        """From its page for Prometheus."""
        raw = parse_prometheus(http.get("/metrics").raise_for_status().text)
        return Metrics(
            running=0,
            waiting=0,
            prompt_tokens=int(raw["echo_prompt_words_total"]),
            cached_tokens=None,
            generated_tokens=int(raw["echo_words_total"]),
            tokens_per_s=None,
            raw=raw,
        )


ENGINE = Echo()
