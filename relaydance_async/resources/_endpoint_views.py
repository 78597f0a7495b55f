"""The views of the client itself: `with_raw_response`, `with_streaming_response`. They hide overloads: each is told."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, Unpack, overload

from .._config import hide_key
from ..models.response import RawResponse
from ._request_options import AskOptions, PostOptions, PutOptions, RequestedOptions, SendOptions
from ._streamed_response import StreamedResponseManager
from ._views import RawView, StreamedView

T = TypeVar("T")


class AnyEndpointRaw(RawView):
    """See `AnyEndpoint.with_raw_response`."""

    @overload
    def request(
        self, method: str, path: str, *, cast_to: None = None, **options: Unpack[RequestedOptions]
    ) -> Coroutine[Any, Any, RawResponse[Any]]: ...

    @overload
    def request(
        self, method: str, path: str, *, cast_to: type[T], **options: Unpack[RequestedOptions]
    ) -> Coroutine[Any, Any, RawResponse[T]]: ...

    def request(self, method: str, path: str, **options: Any) -> Any:
        """See `AnyEndpoint.request`."""
        return self._made(self._resource.request(method, path, **hide_key(options)))

    @overload
    def get(
        self, path: str, *, cast_to: None = None, **options: Unpack[AskOptions]
    ) -> Coroutine[Any, Any, RawResponse[Any]]: ...

    @overload
    def get(
        self, path: str, *, cast_to: type[T], **options: Unpack[AskOptions]
    ) -> Coroutine[Any, Any, RawResponse[T]]: ...

    def get(self, path: str, **options: Any) -> Any:
        """See `AnyEndpoint.get`."""
        return self._made(self._resource.get(path, **hide_key(options)))

    @overload
    def post(
        self, path: str, *, cast_to: None = None, **options: Unpack[PostOptions]
    ) -> Coroutine[Any, Any, RawResponse[Any]]: ...

    @overload
    def post(
        self, path: str, *, cast_to: type[T], **options: Unpack[PostOptions]
    ) -> Coroutine[Any, Any, RawResponse[T]]: ...

    def post(self, path: str, **options: Any) -> Any:
        """See `AnyEndpoint.post`."""
        return self._made(self._resource.post(path, **hide_key(options)))

    @overload
    def put(
        self, path: str, *, cast_to: None = None, **options: Unpack[PutOptions]
    ) -> Coroutine[Any, Any, RawResponse[Any]]: ...

    @overload
    def put(
        self, path: str, *, cast_to: type[T], **options: Unpack[PutOptions]
    ) -> Coroutine[Any, Any, RawResponse[T]]: ...

    def put(self, path: str, **options: Any) -> Any:
        """See `AnyEndpoint.put`."""
        return self._made(self._resource.put(path, **hide_key(options)))

    @overload
    def delete(
        self, path: str, *, cast_to: None = None, **options: Unpack[SendOptions]
    ) -> Coroutine[Any, Any, RawResponse[Any]]: ...

    @overload
    def delete(
        self, path: str, *, cast_to: type[T], **options: Unpack[SendOptions]
    ) -> Coroutine[Any, Any, RawResponse[T]]: ...

    def delete(self, path: str, **options: Any) -> Any:
        """See `AnyEndpoint.delete`."""
        return self._made(self._resource.delete(path, **hide_key(options)))


class AnyEndpointStreamed(StreamedView):
    """See `AnyEndpoint.with_streaming_response`."""

    @overload
    def request(
        self, method: str, path: str, *, cast_to: None = None, **options: Unpack[RequestedOptions]
    ) -> StreamedResponseManager[Any]: ...

    @overload
    def request(
        self, method: str, path: str, *, cast_to: type[T], **options: Unpack[RequestedOptions]
    ) -> StreamedResponseManager[T]: ...

    def request(self, method: str, path: str, **options: Any) -> Any:
        """See `AnyEndpoint.request`."""
        return self._made(self._resource.request(method, path, **hide_key(options)))

    @overload
    def get(
        self, path: str, *, cast_to: None = None, **options: Unpack[AskOptions]
    ) -> StreamedResponseManager[Any]: ...

    @overload
    def get(self, path: str, *, cast_to: type[T], **options: Unpack[AskOptions]) -> StreamedResponseManager[T]: ...

    def get(self, path: str, **options: Any) -> Any:
        """See `AnyEndpoint.get`."""
        return self._made(self._resource.get(path, **hide_key(options)))

    @overload
    def post(
        self, path: str, *, cast_to: None = None, **options: Unpack[PostOptions]
    ) -> StreamedResponseManager[Any]: ...

    @overload
    def post(self, path: str, *, cast_to: type[T], **options: Unpack[PostOptions]) -> StreamedResponseManager[T]: ...

    def post(self, path: str, **options: Any) -> Any:
        """See `AnyEndpoint.post`."""
        return self._made(self._resource.post(path, **hide_key(options)))

    @overload
    def put(
        self, path: str, *, cast_to: None = None, **options: Unpack[PutOptions]
    ) -> StreamedResponseManager[Any]: ...

    @overload
    def put(self, path: str, *, cast_to: type[T], **options: Unpack[PutOptions]) -> StreamedResponseManager[T]: ...

    def put(self, path: str, **options: Any) -> Any:
        """See `AnyEndpoint.put`."""
        return self._made(self._resource.put(path, **hide_key(options)))

    @overload
    def delete(
        self, path: str, *, cast_to: None = None, **options: Unpack[SendOptions]
    ) -> StreamedResponseManager[Any]: ...

    @overload
    def delete(self, path: str, *, cast_to: type[T], **options: Unpack[SendOptions]) -> StreamedResponseManager[T]: ...

    def delete(self, path: str, **options: Any) -> Any:
        """See `AnyEndpoint.delete`."""
        return self._made(self._resource.delete(path, **hide_key(options)))
