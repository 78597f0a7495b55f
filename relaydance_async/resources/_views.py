"""A resource whose methods give the answer itself: what `with_raw_response` and `with_streaming_response` lead to.

A view names the methods once more, for editors and type checkers. Each takes the arguments of the resource's own.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from .._call import as_raw
from .._config import hide_key
from ..models.response import RawResponse
from ._resource import Resource, in_mode
from ._streamed_response import StreamedResponseManager, as_streamed

P = ParamSpec("P")
T = TypeVar("T")


class RawView:
    """Methods that give a `RawResponse`."""

    def __init__(self, _resource: Resource) -> None:
        self._resource: Any = in_mode(_resource, as_raw)

    def _made(self, call: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, RawResponse[Any]]:
        return call


class StreamedView:
    """Methods that give a `StreamedResponse`, each in an `async with`."""

    def __init__(self, _resource: Resource) -> None:
        self._resource: Any = in_mode(_resource, as_streamed)

    def _made(self, call: Coroutine[Any, Any, Any]) -> StreamedResponseManager[Any]:
        return StreamedResponseManager(call)


class Raw(Generic[P, T]):
    """A method of a `RawView`."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, view: None, owner: type[RawView]) -> Self: ...

    @overload
    def __get__(self, view: RawView, owner: type[RawView]) -> Callable[P, Coroutine[Any, Any, RawResponse[T]]]: ...

    def __get__(self, view: RawView | None, owner: type[RawView]) -> Any:
        return self if view is None else MethodType(self._method, view._resource)  # pyright: ignore[reportPrivateUsage]


class Streamed(Generic[P, T]):
    """A method of a `StreamedView`."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, view: None, owner: type[StreamedView]) -> Self: ...

    @overload
    def __get__(self, view: StreamedView, owner: type[StreamedView]) -> Callable[P, StreamedResponseManager[T]]: ...

    def __get__(self, view: StreamedView | None, owner: type[StreamedView]) -> Any:
        if view is None:
            return self
        method = MethodType(self._method, view._resource)  # pyright: ignore[reportPrivateUsage]
        made: Any = method

        @wraps(method, updated=())  # not its `__signature__`, which names `self`
        def call(*args: P.args, **kwargs: P.kwargs) -> StreamedResponseManager[T]:
            return StreamedResponseManager(made(*args, **hide_key(kwargs)))

        return call
