"""Where a call goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Endpoint:
    """What a program must know of a server, or of the model's files where it needs no server.

    Args:
        url: the address below which the server has its routes.
        key: what it wants as bearer token; empty if it wants none.
        model: the name under which it serves its model.
        engine: the name of its launcher.
        file: the model on disk, for libraries: a GGUF or a folder; empty where it is not known.
        library_options: what a library that opens the file is told besides.
        environment: variables that a program must set to reach the server, as around a proxy; ``None`` takes one out.
    """

    url: str
    key: str = field(repr=False)
    model: str
    engine: str
    file: str = ""
    library_options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Where OpenAI's routes are."""
        return f"{self.url}/v1"
