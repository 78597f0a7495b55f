"""The way to the endpoints: an attribute of the client for each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from .._sansio.misnamed import NOT_OFFERED
from ..resources._resource import Resource
from ..resources.chat import Chat
from ..resources.endpoint import AnyEndpoint

if TYPE_CHECKING:
    from ..resources.account import Account
    from ..resources.assets import Assets
    from ..resources.audio import Audio
    from ..resources.embeddings import Embeddings
    from ..resources.files import Files
    from ..resources.images import Images
    from ..resources.models import Models
    from ..resources.moderations import Moderations
    from ..resources.rerank import Rerank
    from ..resources.responses import Responses
    from ..resources.video import Video
    from ..resources.videos import Videos

R = TypeVar("R", bound=Resource)


class Endpoint(Generic[R]):
    """An attribute of the client that leads to a resource, made when it is first asked for: each view has its own."""

    def __init__(self, resource: type[R]) -> None:
        self._resource = resource
        self._name = ""
        self.__doc__ = resource.__doc__

    def __set_name__(self, owner: type[Endpoints], name: str) -> None:
        self._name = name

    def _kind(self) -> type[R]:
        return self._resource

    @overload
    def __get__(self, client: None, owner: type[Endpoints]) -> Self: ...

    @overload
    def __get__(self, client: Endpoints, owner: type[Endpoints]) -> R: ...

    def __get__(self, client: Endpoints | None, owner: type[Endpoints]) -> R | Self:
        if client is None:
            return self
        found = vars(client)[self._name] = self._kind()(client._api)  # pyright: ignore[reportPrivateUsage]
        return found


class Later(Endpoint[R]):
    """The same for one that is imported when it is first asked for, from the module of its name."""

    def __init__(self, kind: str) -> None:
        self._class = kind
        self._name = ""
        self.__doc__ = f"See `{kind}`."

    def _kind(self) -> type[R]:
        kind: type[R] = getattr(import_module(f"..resources.{self._name}", __package__), self._class)
        return kind


class Endpoints(AnyEndpoint, is_client=True):
    """All endpoints that have names, and any other by `request`."""

    models: Endpoint[Models] = Later("Models")
    chat: Endpoint[Chat] = Endpoint(Chat)
    images: Endpoint[Images] = Later("Images")
    files: Endpoint[Files] = Later("Files")
    video: Endpoint[Video] = Later("Video")
    account: Endpoint[Account] = Later("Account")
    assets: Endpoint[Assets] = Later("Assets")
    audio: Endpoint[Audio] = Later("Audio")
    embeddings: Endpoint[Embeddings] = Later("Embeddings")
    moderations: Endpoint[Moderations] = Later("Moderations")
    rerank: Endpoint[Rerank] = Later("Rerank")
    responses: Endpoint[Responses] = Later("Responses")
    videos: Endpoint[Videos] = Later("Videos")

    if not TYPE_CHECKING:  # type checkers would take any name

        def __getattr__(self, name: str) -> Any:
            told = f": {NOT_OFFERED[name]}" if name in NOT_OFFERED else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{told}", name=name, obj=self)


def import_endpoints() -> None:
    """Those that many programs use."""
    for name in "files", "images", "models", "video":
        import_module(f"..resources.{name}", __package__)
