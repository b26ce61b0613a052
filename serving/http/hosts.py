"""The ``Host`` header, read strictly, and the addresses of this machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_]"
    r"(?:[a-z0-9_-]{0,61}[a-z0-9_])?)*",
    re.ASCII,
)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach the address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "0.0.0.0", "shop.example")]
    [True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=256)
def host_name(header: str) -> str | None:
    """Return the name of a ``Host`` header without its port, in lower case; None if malformed.

    A name has letters of ASCII, digits, hyphens and underscores between dots, and at most one dot
    at the end; an IPv6 address stands in brackets; a port has 1 to 5 digits (RFC 9110, 7.2; RFC
    3986, 3.2.2). Lists, user names, paths, blanks and percent signs are malformed.

    Parameters
    ----------
    header
        Value of the header.

    >>> host_name("LOCALHOST:8000"), host_name("[::1]:8000"), host_name("shop.example.")
    ('localhost', '::1', 'shop.example')
    >>> host_name("localhost, evil.example"), host_name("user@localhost"), host_name("a:b")
    (None, None, None)
    """
    text = header.lower()
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if not bracket or "%" in address:
            return None
        try:
            name = str(ipaddress.IPv6Address(address))
        except ValueError:
            return None
        if rest and not (rest.startswith(":") and _is_port(rest[1:])):
            return None
        return name
    name, colon, port = text.partition(":")
    if colon and not _is_port(port):
        return None
    name = name.removesuffix(".")
    if not _NAME.fullmatch(name):
        return None
    return name


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and 0 < int(text) <= 65535


def requested_host(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the host that a request names, an empty text where it names none.

    Parameters
    ----------
    headers
        Raw headers of the request, with names in lower case.

    Returns
    -------
    str or None
        None: there are several such headers, or the value is malformed.
    """
    values = [value for name, value in headers if name == b"host"]
    if not values or values == [b""]:
        return ""
    if len(values) > 1:
        return None
    return host_name(values[0].decode("latin-1"))
