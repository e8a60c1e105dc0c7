"""A real HAProxy in front of an engine: started in a folder of its own, on this machine alone, ended with the kernel.

    from courselib.front.haproxy import Front
    from courselib.front.rules import Rules

    with Front(server, ("ada", "bob"), Rules(requests=20)) as front:
        front.openai("ada").models.list()

The program is Debian's package ``haproxy`` (2.6 was tried); ``openssl`` makes the certificate. Keys are in no file: of
the clients' keys the folder has only the SHA-256 digests, and the engine's is in HAProxy's environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import shutil
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from courselib.errors import EngineMissing, SettingsError, Unreachable
from courselib.files import write_secret
from courselib.front.rules import Rules, configuration
from courselib.i18n import _
from courselib.network import spare_this_machine
from courselib.processes.service import Service, start_service

if TYPE_CHECKING:
    import httpx
    from openai import OpenAI

    from courselib.engines.server import Server

HTTP_TIMEOUT_S = 300.0
READY_TIMEOUT_S = 1.0
CERTIFICATE_DAYS = 30


def find() -> tuple[str, str]:
    """The programs haproxy and openssl.

    Raises:
        EngineMissing: they are not on the PATH.
    """
    # Debian has it where only an administrator's PATH leads.
    found = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy"), shutil.which("openssl")
    if found[0] is None or found[1] is None:
        raise EngineMissing(
            _(
                "There is no program haproxy, or no openssl, on the PATH. On Debian or Ubuntu:"
                " sudo apt install haproxy openssl; for others: https://www.haproxy.org"
            )
        )
    return found[0], found[1]


class Front(Service):
    """A running HAProxy before a server; use it with ``with``, or call ``stop``. It also stops when the kernel ends.

    Args:
        server: the engine's server, on an address of its own (``http://host:port``).
        clients: names of clients; each gets a key (``keys``).
        rules: what HAProxy does with their requests.

    Raises:
        EngineMissing: HAProxy or openssl is not installed.
        SettingsError: a name is no name or there twice; the server cannot stand behind a front.
        EngineDied, StartTimeout: HAProxy does not start.
    """

    def __init__(self, server: Server, clients: Sequence[str] = ("ada", "bob"), rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        program, openssl = find()
        address = _address(server)
        _check_names(clients)
        self.keys = {name: secrets.token_urlsafe(24) for name in clients}
        """The key of each client."""

        def write(folder: Path, port: int) -> None:
            make_certificate(openssl, folder)
            write_secret(folder / "clients.map", "".join(f"{digest(key)} {name}\n" for name, key in self.keys.items()))
            text = configuration(self.rules, address=address, key=bool(server.key), folder=str(folder), port=port)
            (folder / "haproxy.cfg").write_text(text, encoding="utf-8")

        self._process, port = start_service(
            "HAProxy",
            write=write,
            command=lambda folder, _port: [program, "-db", "-f", f"{folder}/haproxy.cfg"],
            is_ready=_is_ready,
            environment={"ENGINE_KEY": server.key or ""},
        )
        self.url = f"https://127.0.0.1:{port}"
        spare_this_machine()

    @property
    def certificate(self) -> Path:
        """The certificate that a client has to trust."""
        return self.folder / "front.pem"

    @property
    def trust(self) -> ssl.SSLContext:
        """What makes a client trust this certificate and no other."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def client(self, name: str | None, *, timeout_s: float = HTTP_TIMEOUT_S) -> httpx.Client:
        """An HTTP client with the key of the client of that name; ``None`` sends no key.

        Raises:
            SettingsError: there is no client of that name.
        """
        import httpx

        headers = {} if name is None else {"Authorization": f"Bearer {self._key(name)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, verify=self.trust, trust_env=False)

    def openai(self, name: str, **options: Any) -> OpenAI:
        """An ``openai.OpenAI`` with the key of the client of that name; ``options`` go to its constructor.

        Raises:
            SettingsError: there is no client of that name.
        """
        from openai import DefaultHttpxClient, OpenAI

        http = DefaultHttpxClient(verify=self.trust, trust_env=False)
        return OpenAI(**{"base_url": f"{self.url}/v1", "api_key": self._key(name), "http_client": http, **options})

    def revoke(self, name: str) -> None:
        """Take a client's key back, at once and without a restart; answers under way go on.

        Raises:
            SettingsError: there is no client of that name.
            Unreachable: HAProxy has ended.
        """
        self._admin(f"del map {self.folder}/clients.map {digest(self._key(name))}")

    def state(self) -> str:
        """What the check has found: ``UP`` or ``DOWN``.

        Raises:
            Unreachable: HAProxy has ended.
        """
        rows = [row.split(",") for row in self._admin("show stat").lstrip("# ").splitlines() if row]
        engine = next(row for row in rows if row[:2] == ["engine", "engine"])
        return engine[rows[0].index("status")].split()[0]

    def logs(self) -> str:
        """A line for each request, and what HAProxy reports about itself and the engine."""
        return self._process.logs()

    def _key(self, name: str) -> str:
        if name not in self.keys:
            text = _("There is no client {name!r}; there are {names}.")
            raise SettingsError(text.format(name=name, names=", ".join(self.keys)))
        return self.keys[name]

    def _admin(self, command: str) -> str:
        """One command of HAProxy's runtime API, on the socket that only this user may open."""
        try:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.settimeout(READY_TIMEOUT_S)
                admin.connect(str(self.folder / "admin.sock"))
                admin.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: admin.recv(65536), b"")).decode()
        except OSError as error:
            text = _("HAProxy does not answer at {url}; it may have been stopped. Start a new one.")
            raise Unreachable(text.format(url=self.url), details=str(error)) from None


def digest(key: str) -> str:
    """A key's SHA-256 as HAProxy writes it. Keys are random and long, so a digest leads to none."""
    return hashlib.sha256(key.encode()).hexdigest().upper()


def make_certificate(openssl: str, folder: Path) -> None:
    """A self-made certificate for this machine, ``front.pem``, with its key beside it, ``front.pem.key``.

    Raises:
        EngineMissing: this openssl cannot make it.
    """
    words = [
        openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", str(CERTIFICATE_DAYS), "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "keyUsage=digitalSignature,keyCertSign",
        "-keyout", "front.pem.key", "-out", "front.pem",
    ]  # fmt: skip
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        text = _("{program} cannot make a certificate; OpenSSL 1.1.1 or newer can. The details show what it writes.")
        raise EngineMissing(text.format(program=openssl), details=done.stderr)
    (folder / "front.pem.key").chmod(0o600)


def _is_ready(folder: Path, port: int) -> bool:
    """Whether this very HAProxy answers: no other program has the certificate."""
    trust = ssl.create_default_context(cafile=str(folder / "front.pem"))
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=READY_TIMEOUT_S) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1"),
    ):
        return True
    return False


def _address(server: Server) -> str:
    parts = urlsplit(server.url)
    if parts.scheme != "http" or parts.path or not parts.hostname:
        text = _("A front needs a server at http://host:port, without a path, and this one is at {url}.")
        raise SettingsError(text.format(url=server.url))
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{server.port}"


def _check_names(clients: Sequence[str]) -> None:
    for name in clients:
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9-]{1,32}", name):
            text = _("{name!r} is no name for a client; take small letters, digits and hyphens, 32 at most.")
            raise SettingsError(text.format(name=name))
    if len(set(clients)) != len(clients):
        raise SettingsError(_("Two clients have the same name; give each one of its own."))
