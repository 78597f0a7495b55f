"""The routes of the API, each declared once, beside the resource that it belongs to."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib import import_module
from typing import Any, Generic, TypeVar

from .._call import Receiver
from .._sansio.path import build_query, parse_path, path_segment, template_of
from .._sansio.request import RetrySafety
from .._sansio.target import ApiTarget

T = TypeVar("T")

_PLACE = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Route(Generic[T]):
    """A method and a path, what is paid for it, and what it returns.

    Attributes:
        name: of the client's method that calls it, such as "video.submit".
        path: below the base URL, or, when it begins with `/api/`, below the host's root; ids stand in braces.
        returns: what becomes of the answer.
        safety: whether it is paid for when it is accepted.
        thin: whether it only gives a name and types to what the gateway's software answers besides, and is tested as
            any endpoint is.
    """

    name: str
    method: str
    path: str
    returns: Receiver[T]
    safety: RetrySafety
    thin: bool = False

    @property
    def billed(self) -> bool:
        """Whether it is paid for when it is accepted."""
        return self.safety.billed

    def target(self, query: Mapping[str, str] | None = None, /, **ids: object) -> ApiTarget:
        """The endpoint with these ids.

        Raises:
            InvalidInputError: an id is empty or would change the path.
        """
        if not ids and not query:
            return self._plain
        path = _PLACE.sub(lambda place: path_segment(ids[place[1]], name=place[1]), self.path)
        return ApiTarget(self.path, path, build_query(query) if query else "")

    @cached_property
    def _plain(self) -> ApiTarget:
        return ApiTarget(self.path, self.path)


def get(name: str, path: str, returns: Receiver[T]) -> Route[T]:
    """A GET, which is safe to repeat."""
    return Route(name, "GET", path, returns, RetrySafety.SAFE)


def billed_post(name: str, path: str, returns: Receiver[T], *, small: bool = False) -> Route[T]:
    """A POST that is paid for when it is accepted; `small`: it costs little, and a person waits for it."""
    return Route(name, "POST", path, returns, RetrySafety.BILLED_SMALL if small else RetrySafety.BILLED)


def thin(route: Route[T]) -> Route[T]:
    """The same, as one that only gives a name and types."""
    return replace(route, thin=True)


def thin_post(name: str, path: str, returns: Receiver[T]) -> Route[T]:
    """Such a billed POST."""
    return thin(billed_post(name, path, returns))


def target_of(path: object, query: Mapping[str, Any] | None = None) -> ApiTarget:
    """The endpoint at a path that a caller gives.

    Raises:
        InvalidInputError: it is none, or leads elsewhere.
    """
    address, own = parse_path(path)
    parts = [part for part in (own, build_query(query) if query else "") if part]
    return ApiTarget(_template_of(address), address, "&".join(parts))


@lru_cache(maxsize=1024)
def _template_of(path: str) -> str:
    return template_of(path, _known_templates())


@lru_cache(maxsize=1)
def _known_templates() -> list[tuple[re.Pattern[str], str]]:
    paths = {route.path for route in declared_routes()}
    exact_first = sorted(paths, key=lambda path: path.count("{"))
    return [(re.compile(_PLACE.sub("[^/]+", path)), path) for path in exact_first]


def declared_routes() -> list[Route[Any]]:
    """All routes that the modules of this package declare, by their paths. Documents and tests are checked with it."""
    from pkgutil import iter_modules

    found: dict[tuple[str, str], Route[Any]] = {}
    package = __name__.rpartition(".")[0]
    for room in iter_modules(sys.modules[package].__path__):
        import_module(f"{package}.{room.name}")
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{package}."):
            for value in vars(module).values():
                if isinstance(value, Route):
                    found[value.path, value.method] = value  # pyright: ignore[reportUnknownArgumentType]
    return [found[key] for key in sorted(found)]
