"""Addresses of servers, and the environment's proxies, which are for the network outside and not for this machine.

Every client goes straight to a server on this machine; to a server elsewhere it goes through the environment's proxies.
Either way it trusts the environment's certificates. For clients that we do not make (Hugging Face's, a learner's own,
curl) this machine's hosts are put into ``NO_PROXY``.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
import sys
import warnings
from typing import Any
from urllib.parse import urlsplit

from courselib.errors import SettingsError
from courselib.i18n import _

THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
# What spare_this_machine has changed: variables and their values, None for one that was taken out.
_changed: dict[str, str | None] = {}
_no_proxy_before: list[str] = []


def is_everywhere(host: str) -> bool:
    """Whether a server that listens on ``host`` can be reached from the network by every address of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def url_host(host: str) -> str:
    """An address to listen on as the host of a URL: IPv6 in brackets, loopback where it is every address."""
    if is_everywhere(host):
        host = "::1" if ":" in host else "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine by its name or address for itself."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def server_root(url: str) -> str:
    """The address below which a server has its routes: without a final ``/v1``, other paths kept.

    Raises:
        SettingsError: it is no address.
    """
    import httpx

    try:
        text = url.strip()
        parts = urlsplit(text if "://" in text else f"http://{text}")
        root = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v1').rstrip('/')}"
        valid = (
            parts.scheme in ("http", "https")
            and bool(httpx.URL(root).host)
            and parts.port != 0
            and not re.search(r"\s", text)
        )
    except (AttributeError, ValueError, httpx.InvalidURL):
        valid = False
    if not valid:
        raise SettingsError(
            _("{url!r} is not the address of a server; give one like http://127.0.0.1:8080.").format(url=url)
        )
    return root


def direct_options(url: str) -> dict[str, Any]:
    """Options of an ``httpx.Client`` that goes straight to a server and still trusts the environment's certificates."""
    import httpx

    return {"trust_env": False, **({"verify": httpx.create_ssl_context()} if url.startswith("https:") else {})}


def spare_this_machine(*hosts: str) -> None:
    """Keep calls to this machine away from the environment's proxies, in this process and those it starts.

    Where no proxy is set in the environment nothing is changed. A proxy that Python's clients refuse altogether, such
    as ``socks://``, is taken out with a warning: with it they could not even be made.

    Args:
        hosts: addresses of this machine besides those for loopback.
    """
    set_here = [name for name in os.environ if name.lower() in PROXIES and os.environ[name]]
    if not set_here:
        return
    for name in set_here:
        if not _is_usable(os.environ[name]):
            warnings.warn(
                _(
                    "{name} names a {scheme} proxy, which Python's clients here cannot use, so it is left out; set it"
                    " to an http:// address, or to socks5:// after pip install socksio."
                ).format(name=name, scheme=os.environ[name].partition("://")[0]),
                stacklevel=3,
            )
            _change(name, None)
    before = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    spared = [host.strip() for host in before.split(",") if host.strip()]
    missing = [host for host in dict.fromkeys((*THIS_MACHINE, *hosts)) if host not in spared]
    if missing and "*" not in spared:
        if "no_proxy" not in _changed:
            _no_proxy_before[:] = spared
        for name in ("no_proxy", "NO_PROXY"):
            _change(name, ",".join([*spared, *missing]))


def program_environment(url: str) -> dict[str, str | None]:
    """What a program started outside of this process must set (``None``: take out) to reach a server as we do."""
    host = urlsplit(url).hostname
    return {
        name: value
        for name, value in _changed.items()
        # The name in small letters goes before the other, everywhere.
        if name != "NO_PROXY" and (name != "no_proxy" or host not in _no_proxy_before)
    }


def _is_usable(proxy: str) -> bool:
    scheme = proxy.partition("://")[0].lower() if "://" in proxy else "http"
    return scheme in ("http", "https") or (
        scheme in ("socks5", "socks5h") and importlib.util.find_spec("socksio") is not None
    )


def _change(name: str, value: str | None) -> None:
    if value is None:
        del os.environ[name]
    else:
        os.environ[name] = value
    _changed[name] = value
    if "huggingface_hub" in sys.modules:
        from huggingface_hub import close_session

        close_session()  # it reads the environment when it is opened
