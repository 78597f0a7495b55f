"""Where a request goes: to the API, with the key, or to somebody else, without it.

A string from outside never becomes a path of the API: which of the two a request is for is said by whoever builds it,
not read off the look of a URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit


class Network(StrEnum):  # hashed for each attempt, see `Kind`
    """Which addresses may be connected to."""

    ANY = "any"
    PUBLIC = "public"
    """No address of a private network. A proxy looks names up itself, so through one it has no effect."""


@dataclass(frozen=True, slots=True)
class ApiTarget:
    """An endpoint of the API.

    Attributes:
        route: the template of the path, such as `/video/generations/{task_id}`: what requests have in common.
        path: below the base URL; one that begins with `/api/` is below the host's root.
        query: encoded, without the question mark.
    """

    route: str
    path: str
    query: str = ""


@dataclass(frozen=True, slots=True)
class ForeignTarget:
    """A URL of another origin, which must not get the key. Its repr shows no query, which may hold a signature.

    Attributes:
        url: an absolute one, checked by whoever builds the target.
        network: where it may lead.
    """

    url: str
    network: Network = Network.ANY

    def __repr__(self) -> str:
        return f"<ForeignTarget {shown(self)}>"


@dataclass(frozen=True, slots=True)
class BesideTarget:
    """An endpoint of a host beside the API, which takes the same key: because the caller named it, or it is known.

    Attributes:
        origin: of the host, such as "https://pay.relaydance.com".
        endpoint: below its root.
    """

    origin: str
    endpoint: ApiTarget

    @property
    def url(self) -> str:
        """The absolute URL."""
        end = self.endpoint
        return f"{self.origin}{end.path}?{end.query}" if end.query else self.origin + end.path


Target: TypeAlias = ApiTarget | ForeignTarget | BesideTarget


_ANY = Network.ANY  # looking up a member of an enum takes as long as a call of a function


def with_default_query(query: str, default: Mapping[str, str]) -> str:
    """A query, and what a client adds to each: what is there already counts."""
    there = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    added = urlencode({name: value for name, value in default.items() if name not in there})
    return "&".join(filter(None, [query, added]))


def network_of(target: Target) -> Network:
    """Where it may lead."""
    return target.network if isinstance(target, ForeignTarget) else _ANY


def shown(target: Target) -> str:
    """The target as errors, logs and events show it: without a query, which may hold a signature or a token."""
    if isinstance(target, ApiTarget):
        return target.path
    parts = urlsplit(target.url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


THE_GATEWAY = "the gateway"
"""Who is asked when it is the API."""


def peer(target: Target) -> str:
    """Who is asked, for messages."""
    if isinstance(target, ApiTarget):
        return THE_GATEWAY
    return urlsplit(target.url).hostname or "the host"
