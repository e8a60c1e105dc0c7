"""Free and taken ports on this machine."""

from __future__ import annotations

import errno
import socket

from courselib.errors import PortTaken, SettingsError
from courselib.i18n import _


def free_port(host: str = "127.0.0.1") -> int:
    """A port that the operating system says is free right now.

    Raises:
        SettingsError: the address is none of this machine's.
    """
    with _listening(host, 0) as probe:
        return int(probe.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """Make sure that a server could listen on ``port``.

    Raises:
        SettingsError: the port is no number from 1 to 65535, or the address is none of this machine's.
        PortTaken: somebody listens there already.
    """
    check_port_number(port)
    _listening(host, port).close()


def check_port_number(port: object) -> None:
    """Make sure that ``port`` is the number of a port.

    Raises:
        SettingsError: it is no whole number, or not between 1 and 65535.
    """
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        raise SettingsError(
            _("port is {port!r}; give a whole number from 1 to 65535, or leave it out for a free one.").format(
                port=port
            )
        )


def _listening(host: str, port: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # As the engines themselves do: a port whose last user has just left counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        probe.listen()
    except OSError as error:
        probe.close()
        raise _explain(error, host, port) from None
    return probe


def _explain(error: OSError, host: str, port: int) -> SettingsError | PortTaken:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        text = _("host is {host!r}, which is not an address of this machine; leave it out for 127.0.0.1.")
        return SettingsError(text.format(host=host), details=str(error))
    if isinstance(error, PermissionError):
        text = _("Port {port} may not be used without administrator rights; choose one above 1023.")
        return PortTaken(text.format(port=port), details=str(error))
    text = _("Port {port} on {host} is in use; stop what listens there, or leave port out for a free one.")
    return PortTaken(text.format(port=port, host=host), details=str(error))
