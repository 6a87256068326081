"""Which addresses a webhook may be sent to.

An address that a name resolves to is allowed only if it belongs to the public internet. The networks are
listed here: what `ipaddress` calls global differs between versions of Python.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LONGEST_URL: Final = 2_000
_WRITTEN: Final = re.compile(r"[!-~]+", re.ASCII)
_NOT_IN_URLS: Final = set('\\"<>^`{|}#')

# The special-purpose registries of IANA; 192.88.99.0/24 was the relay of 6to4.
_SPECIAL_4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
# Of IPv6 only this is given out; loopback, mapped, NAT64, local and multicast addresses lie outside of it.
_GIVEN_OUT_6: Final = ipaddress.IPv6Network("2000::/3")
# Teredo and others, documentation, 6to4 (which carries an IPv4 address), documentation again.
_SPECIAL_6: Final = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
# What an operator who allows internal addresses still does not mean: a cloud's metadata, everybody, nobody.
_NEVER: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32"),
            *("::/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128"),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook goes: the parts of its URL."""

    secure: bool
    host: str
    port: int
    path: str


class UrlRefused(Exception):
    """This URL cannot be a webhook's."""


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    return address in _GIVEN_OUT_6 and not any(address in network for network in _SPECIAL_6)


def is_allowed(address: str, *, internal: bool) -> bool:
    """Whether a webhook may be sent to an address.

    Args:
        internal: The operator allows private networks and this machine, too.
    """
    try:
        found: Address = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not internal:
        return is_public(found)
    inner = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return not any(found in network or (inner is not None and inner in network) for network in _NEVER)


def read_target(url: str, *, internal: bool) -> Target:
    """The parts of a webhook's URL.

    Args:
        internal: The operator allows http as well.

    Raises:
        UrlRefused: It is not one; the message says why.
    """
    if len(url) > LONGEST_URL:
        raise UrlRefused(f"it has more than {LONGEST_URL:,} characters")
    if not _WRITTEN.fullmatch(url) or _NOT_IN_URLS & set(url):
        raise UrlRefused("it holds white space, a fragment or a character that must be written as %XX")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UrlRefused("it is not a URL") from None
    secure = parts.scheme == "https"
    if not secure and not (internal and parts.scheme == "http"):
        raise UrlRefused("it must begin with https://")
    if "@" in parts.netloc:
        raise UrlRefused("it must not hold a user or a password")
    if not host or "%" in host or host.startswith(".") or ("[" in url and not _is_address(host)):
        raise UrlRefused("it names no host")
    if port == 0:
        raise UrlRefused("there is no port 0")
    path = parts.path or "/"
    return Target(
        secure, host, port or (443 if secure else 80), f"{path}?{parts.query}" if parts.query else path
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
