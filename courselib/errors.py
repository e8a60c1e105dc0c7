"""Every error the course raises on purpose.

A message is one or two plain sentences: what is wrong, then how to mend it. Evidence (a log's last lines, a
command) is an attribute, so that a panel can fold it away and a program can read it.

    CourseError
    ├── SettingsError      a setting out of range, or two that exclude each other      (also a ValueError)
    ├── ModelError
    │   ├── ModelNotFound  no such name, file or repository                            (also a LookupError)
    │   ├── ModelCorrupt   the file is not what it should be: magic, size or checksum
    │   └── DownloadFailed no network, no space, refused, broken off
    ├── EngineError
    │   ├── EngineMissing  the program is not installed
    │   ├── EngineDied     it ended while starting or serving
    │   ├── StartTimeout   it did not become ready in time                             (also a TimeoutError)
    │   ├── PortTaken      the port asked for is in use
    │   └── OutOfMemory    the settings need more memory than there is                 (also a MemoryError)
    ├── RequestError
    │   ├── Unreachable    nobody answers at that address                              (also a ConnectionError)
    │   ├── Unauthorized   the key is missing or wrong                                 (also a PermissionError)
    │   ├── PromptTooLong  the prompt does not fit into the context                    (also a ValueError)
    │   ├── RequestRefused the server says the request is wrong                        (also a ValueError)
    │   └── StreamBroken   the answer broke off                                        (also a ConnectionError)
    ├── PanelBusy          a panel is asked for something while it is at work         (also a RuntimeError)
    ├── CheckFailed        an answer to an exercise is not right yet
    └── LessonError        a lesson's source is wrong; names lesson, cell and line
"""

from __future__ import annotations


class CourseError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what is wrong and how to mend it, for a person.
        details: evidence for whoever looks deeper (log lines, the server's own words); may be empty.
    """

    def __init__(self, message: str, *, details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class SettingsError(CourseError, ValueError):
    """A setting is out of its range, or two settings exclude each other."""


class ModelError(CourseError):
    """A model cannot be had."""


class ModelNotFound(ModelError, LookupError):
    """No model of that name, no file at that path, no such repository."""


class ModelCorrupt(ModelError):
    """A model's file is not what it should be: wrong magic, cut short, or another checksum."""


class DownloadFailed(ModelError):
    """A download could not be finished."""


class EngineError(CourseError):
    """An engine cannot be started or has failed."""


class EngineMissing(EngineError):
    """The engine's program is not installed."""


class EngineDied(EngineError):
    """The engine's process has ended by itself."""


class StartTimeout(EngineError, TimeoutError):
    """The engine did not become ready before its deadline."""


class PortTaken(EngineError):
    """The port asked for is in use."""


class OutOfMemory(EngineError, MemoryError):
    """The settings need more memory than the machine has."""


class RequestError(CourseError):
    """A request to a server failed."""


class Unreachable(RequestError, ConnectionError):
    """Nobody answers at the server's address."""


class Unauthorized(RequestError, PermissionError):
    """The server wants another key."""


class PromptTooLong(RequestError, ValueError):
    """The prompt does not fit into the server's context."""


class RequestRefused(RequestError, ValueError):
    """The server says that the request is wrong."""


class StreamBroken(RequestError, ConnectionError):
    """An answer broke off before its end."""


class PanelBusy(CourseError, RuntimeError):
    """A panel is asked for something while it is still at work."""


class CheckFailed(CourseError):
    """An answer to an exercise is not right yet; the message says why."""

    def _render_traceback_(self) -> list[str]:
        # IPython shows this in place of the stack, which is the course's and not the learner's.
        return self.message.splitlines()


class LessonError(CourseError):
    """A lesson's source is wrong."""
