"""Which names a page that only this machine can reach may be called by.

    hosts = hosts_of("127.0.0.1")
    hosts.allow("127.0.0.1:7860")      True
    hosts.allow("evil.example")        False

A foreign page can point its own name at 127.0.0.1 and speak to a server there as if it came from it (DNS
rebinding). The browser then says that name in the Host header.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

SHARED = ".gradio.live"  # the end of the names that Gradio's share links have


@dataclass(frozen=True)
class Hosts:
    """names: in small letters; None when every name will do. shared: whether a share link leads here."""

    names: frozenset[str] | None
    shared: bool = False

    def allow(self, header: str) -> bool:
        """Whether a Host header ("name", "name:port", "[::1]:port") names this server."""
        if self.names is None:
            return True
        name = _name(header)
        return name in self.names or _is_loopback(name) or (self.shared and name.endswith(SHARED))


def hosts_of(server_name: str | None, *, share: bool = False, others: Iterable[str] = ()) -> Hosts:
    """The names of a server that listens on `server_name`.

    Where other machines reach it, they know it by names of their own: all are allowed. share: it has a link
    through Gradio's servers. others: further names or addresses of it, such as a Space's host or the URL of a
    reverse proxy; what names no host is left out.
    """
    listening = _name(server_name or "127.0.0.1")
    if not (listening == "localhost" or _is_loopback(listening)):
        return Hosts(None)
    known = {_name(urlsplit(other).netloc or other) for other in others}
    return Hosts(frozenset({"localhost", listening, *known} - {""}), share)


def _name(host: str) -> str:
    """A host without port, brackets and the dot at its end; "" when it is none."""
    try:
        return (urlsplit(f"//{host.strip()}").hostname or "").rstrip(".")
    except ValueError:  # brackets that do not match
        return ""


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
