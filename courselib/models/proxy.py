"""Proxies of the environment that a download cannot go through."""

from __future__ import annotations

import importlib.util
import os

from courselib.i18n import _

VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
# What httpx takes, the client of the hub; the last two with a package of their own.
PLAIN, SOCKS = ("http", "https"), ("socks5", "socks5h")


def proxy_message(package: str) -> str | None:
    """What is wrong with the proxy that the environment names; None if nothing is.

    Args:
        package: the import name of the package that the downloading program needs for SOCKS.
    """
    for name in (*VARIABLES, *map(str.lower, VARIABLES)):
        scheme, separator, _rest = os.environ.get(name, "").partition("://")
        if not separator or scheme.lower() in PLAIN:
            continue
        if scheme.lower() not in SOCKS:
            return _(
                "The environment variable {name} names a proxy by {scheme}://, which cannot be used for downloads;"
                " write http:// or socks5:// there, or remove the variable."
            ).format(name=name, scheme=scheme)
        if importlib.util.find_spec(package) is None:
            return _(
                "The environment variable {name} names a SOCKS proxy; install the package {package} to use it, or"
                " remove the variable."
            ).format(name=name, package=package)
    return None
