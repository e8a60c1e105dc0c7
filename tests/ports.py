"""A port that somebody else listens on."""

import contextlib
import socket


@contextlib.contextmanager
def taken_port(host="127.0.0.1"):
    with socket.socket() as other:
        other.bind((host, 0))
        other.listen()
        yield other.getsockname()[1]
