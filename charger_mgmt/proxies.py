"""Behind reverse proxies: who the client is, by the word of those proxies that are trusted, and of nobody else.

The PROXY protocol is gunicorn's part (see gunicorn.conf.py); here are the headers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class TrustedProxies:
    """WSGI: X-Forwarded-For and X-Forwarded-Proto become REMOTE_ADDR and the scheme, if a trusted proxy sent them.

    Every proxy appends the address that it was called from. So the list is read from its end, and the first
    address that is none of ours is the client's; what stands before it anybody may have written. From anybody
    else the headers are taken away.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]], networks: Sequence[str]) -> None:
        self._application = application
        self._networks = [ipaddress.ip_network(network) for network in networks]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ.get("REMOTE_ADDR"):  # the PROXY protocol's LOCAL: the proxy speaks for itself
            _peer_itself(environ)
        chain = environ.pop("HTTP_X_FORWARDED_FOR", "")
        scheme = environ.pop("HTTP_X_FORWARDED_PROTO", "")
        if self._networks and self._is_trusted(_address(environ.get("REMOTE_ADDR", ""))):
            client = self._client(chain)
            if client is not None:
                environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = str(client), ""
            word = _SCHEMES.get(scheme.rpartition(",")[2].strip().lower())
            if word is not None:
                environ["wsgi.url_scheme"] = word
        return self._application(environ, start_response)

    def _client(self, chain: str) -> _Address | None:
        """The last address that is no trusted proxy's; the first one, if all are; None: there is none to be read."""
        client = None
        for text in reversed(chain.split(",")):
            address = _address(text.strip())
            if address is None:
                break
            client = address
            if not self._is_trusted(address):
                break
        return client

    def _is_trusted(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


@lru_cache(maxsize=10_000)
def source(address: str) -> str:
    """What counts as one source: an IPv4 address, or the network of an IPv6 one (64 bits)."""
    parsed = _address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)


def networks(text: str) -> tuple[str, ...]:
    """The addresses and networks of a setting, separated by commas or blanks. Raises ValueError naming a wrong one."""
    found = []
    for part in text.replace(",", " ").split():
        try:
            found.append(str(ipaddress.ip_network(part, strict=False)))
        except ValueError:
            raise ValueError(part) from None
    return tuple(found)


def _address(text: str) -> _Address | None:
    """An address as proxies write it: with a port, in brackets, IPv4 inside of IPv6."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _peer_itself(environ: dict[str, Any]) -> None:
    sock = environ.get("gunicorn.socket")
    try:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = (
            map(str, sock.getpeername()[:2]) if sock else ("", "")
        )
    except OSError:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = "", ""
