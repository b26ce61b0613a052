"""Where a request comes from, if proxies stand between: their headers are believed from trusted
addresses alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_IPV6_PREFIX = 64
"""A customer of a provider has as many addresses of IPv6; they are one."""


class Proxies:
    """The proxies that are trusted.

    Parameters
    ----------
    networks
        Addresses and networks, such as ``10.0.0.0/8``.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(ipaddress.ip_network(text) for text in networks)

    def is_trusted(self, address: _Address | None) -> bool:
        """Return whether the headers of an address are believed."""
        return address is not None and any(
            address.version == network.version and address in network for network in self._networks
        )

    def client(self, scope: Mapping[str, Any]) -> str:
        """Return the address of who sends a request: of IPv6 its network of 64 bits.

        ``X-Forwarded-For`` is read from the right, since a proxy adds the address that it sees to
        what the sender wrote: the first address that is not a trusted proxy is the sender.

        Parameters
        ----------
        scope
            The ASGI scope.
        """
        peer = scope.get("client")
        address = _parsed(peer[0]) if peer else None
        if self.is_trusted(address):
            for text in reversed(_values(scope, b"x-forwarded-for")):
                forwarded = _parsed(text)
                if forwarded is None:
                    break  # what stands to the left of nonsense is not to be believed
                address = forwarded
                if not self.is_trusted(forwarded):
                    break
        return "unknown" if address is None else _grouped(address)

    def scheme(self, scope: Mapping[str, Any]) -> str:
        """Return ``http`` or ``https``, as the sender sees the server."""
        peer = scope.get("client")
        if self._networks and self.is_trusted(_parsed(peer[0]) if peer else None):
            values = _values(scope, b"x-forwarded-proto")
            if len(values) == 1 and values[0].lower() in ("http", "https"):
                return values[0].lower()
        return str(scope.get("scheme", "http"))


def _values(scope: Mapping[str, Any], name: bytes) -> list[str]:
    """Return the items of the comma-separated lists of all headers of a name, in order."""
    texts = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return [part.strip() for text in texts for part in text.split(",")]


def _parsed(text: str) -> _Address | None:
    """Return an address that may have a port; one of IPv4 within IPv6 is that of IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _grouped(address: _Address) -> str:
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
