"""Free and taken ports on this machine."""

from __future__ import annotations

import socket

from courselib.errors import PortTaken, SettingsError
from courselib.i18n import _


def free_port(host: str = "127.0.0.1") -> int:
    """A port that the operating system says is free right now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """Make sure that a server could listen on ``port``.

    Raises:
        SettingsError: the port is not between 1 and 65535, or the address is none of this machine's.
        PortTaken: somebody listens there already.
    """
    if not 1 <= port <= 65535:
        raise SettingsError(
            _("port is {port}; choose one from 1 to 65535, or leave it out for a free one.").format(port=port)
        )
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # As the engines themselves do: a port whose last user has just left counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen()
    except socket.gaierror:
        raise SettingsError(
            _("host is {host!r}, which is no address; leave it out for 127.0.0.1.").format(host=host)
        ) from None
    except PermissionError:
        raise PortTaken(
            _("Port {port} may not be used without administrator rights; choose one above 1023.").format(port=port)
        ) from None
    except OSError as error:
        raise PortTaken(
            _("Port {port} on {host} is in use; stop what listens there, or leave port out for a free one.").format(
                port=port, host=host
            ),
            details=str(error),
        ) from None
