"""The routes of the API, each declared once, beside the resource that it belongs to."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .._call import Receiver
from .._sansio.request import RetrySafety, build_query, path_segment
from .._sansio.target import ApiTarget

T = TypeVar("T")

_PLACE = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Route(Generic[T]):
    """A method and a path, what is paid for it, and what it returns.

    Attributes:
        path: below the base URL, or, when it begins with `/api/`, below the host's root; ids stand in braces.
        returns: what becomes of the answer.
        safety: whether it is paid for when it is accepted.
    """

    method: str
    path: str
    returns: Receiver[T]
    safety: RetrySafety

    @property
    def billed(self) -> bool:
        """Whether it is paid for when it is accepted."""
        return self.safety is RetrySafety.BILLED

    def target(self, query: Mapping[str, str] | None = None, /, **ids: object) -> ApiTarget:
        """The endpoint with these ids.

        Raises:
            InvalidInputError: an id is empty or would change the path.
        """
        path = self.path
        if ids:
            path = _PLACE.sub(lambda place: path_segment(ids[place[1]], name=place[1]), path)
        return ApiTarget(self.path, path, build_query(query) if query else "")


def get(path: str, returns: Receiver[T]) -> Route[T]:
    """A GET, which is safe to repeat."""
    return Route("GET", path, returns, RetrySafety.SAFE)


def billed_post(path: str, returns: Receiver[T]) -> Route[T]:
    """A POST that is paid for when it is accepted."""
    return Route("POST", path, returns, RetrySafety.BILLED)


def routes_of(base: type[Any]) -> list[Route[Any]]:
    """All routes that are declared beside the subclasses of the base of resources, in the order of their paths."""
    found: dict[tuple[str, str], Route[Any]] = {}
    for resource in base.__subclasses__():
        for value in vars(sys.modules[resource.__module__]).values():
            if isinstance(value, Route):
                found[value.method, value.path] = value  # pyright: ignore[reportUnknownArgumentType]
    return [found[key] for key in sorted(found, key=lambda key: (key[1], key[0]))]
