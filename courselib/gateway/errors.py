"""The two families of TGI's errors: its own are JSON, those of its web framework's extractors are plain text."""

from __future__ import annotations

import logging

VALIDATION = "Input validation error: "
GENERATION = "Request failed during generation: "


class ExtractorError(Exception):
    """A body that is not a request at all; answered as plain text (axum 0.7).

    Args:
        status: 400, 413, 415 or 422.
        text: the whole answer.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class TgiError(Exception):
    """An error of TGI's own; answered as ``{"error", "error_type"}``.

    Args:
        status: the HTTP status; a stream answers 200 and tells the error in its first event.
        error_type: TGI's word for the kind.
        message: the whole sentence.
    """

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message

    def body(self) -> dict[str, str]:
        """The JSON answer."""
        return {"error": self.message, "error_type": self.error_type}

    def in_stream(self) -> TgiError:
        """The same as TGI calls it within a stream."""
        if self.error_type != "incomplete_generation":
            return self
        return TgiError(self.status, "incomplete_generation_stream", "Incomplete generation stream")


def invalid(text: str) -> TgiError:
    """A request that asks for what cannot be."""
    return TgiError(422, "validation", VALIDATION + text)


def overloaded() -> TgiError:
    """More requests at once than ``max_concurrent_requests``."""
    return TgiError(429, "overloaded", "Model is overloaded")


def failed(reason: str) -> TgiError:
    """The engine refused or ended."""
    return TgiError(424, "generation", GENERATION + reason)


def incomplete() -> TgiError:
    """The engine stopped without a reason that TGI knows."""
    return TgiError(500, "incomplete_generation", "Incomplete generation")


def as_tgi_error(error: Exception) -> TgiError:
    """The error itself, if it is TGI's; any other is a fault of the gateway's own, and written to the log."""
    if isinstance(error, TgiError):
        return error
    logging.getLogger(__name__).error("a request failed", exc_info=error)
    return TgiError(500, "internal", "The gateway failed; its log has the details")


def unhealthy() -> TgiError:
    """The engine cannot serve."""
    return TgiError(503, "healthcheck", "unhealthy")
