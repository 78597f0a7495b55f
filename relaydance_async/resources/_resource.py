"""What all endpoints share: how a route becomes a call."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeAlias, TypeVar

from .._call import Api, Receiver
from .._config import Secret, checked_headers, hide_key
from .._sansio.extras import NO_EXTRAS, CallExtras, given
from .._sansio.redact import pasted
from .._sansio.request import PreparedRequest, build_post, build_request
from .._sansio.target import ApiTarget
from .._sansio.timeout import as_timeout
from ..errors import InvalidInputError, RelayDanceError
from ..models._options import NOT_GIVEN, ReadOptions
from ._progress import ProgressHook
from ._route import Route
from ._signature import show_keywords

if TYPE_CHECKING:
    from ._files import UploadedPart

_TAKES_IN = "_takes_in"
"""The mark of a method that has been seen to."""

P = ParamSpec("P")
T = TypeVar("T")


Mode: TypeAlias = Callable[[Receiver[Any]], Receiver[Any]]


class Resource:
    """The base of every endpoint."""

    _mode: Mode | None = None
    """What is made of each receiver."""

    def __init_subclass__(cls, *, is_client: bool = False) -> None:
        if not is_client:  # its own methods ask for nothing, or say themselves what they take in
            _take_in_all(cls)
        show_keywords(cls)

    def __init__(self, api: Api) -> None:
        self._api = api

    def _with_key(self, api_key: Secret) -> Self:
        """The same for another user. What it leads to is made anew."""
        other = object.__new__(type(self))
        vars(other).update({name: of for name, of in vars(self).items() if not isinstance(of, Resource)})
        other._api = self._api.with_key(api_key)
        return other

    def _get(self, route: Route[T], extras: CallExtras, **ids: object) -> Coroutine[Any, Any, T]:
        """A GET of a route with these ids."""
        return self._send(route, route.target(extras.query, **ids), extras)

    def _post(
        self,
        route: Route[T],
        arguments: Mapping[str, Any],
        extras: CallExtras,
        *,
        receive: Receiver[Any] | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """A billed POST of JSON: arguments that are None are left out.

        Args:
            arguments: of the API.
            extras: what this one call adds.
            receive: what becomes of the answer, if not what the route says.
        """
        request = build_post(route.target(extras.query), arguments, extra_body=extras.body, safety=route.safety)
        return self._execute(request, receive or route.returns, extras)

    def _send(
        self,
        route: Route[T],
        target: ApiTarget,
        extras: CallExtras,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[Any, Any, T]:
        """A request of a route, whatever its method and its body (see `build_request`)."""
        request = build_request(route.method, target, route.safety, body, headers=headers)
        return self._execute(request, route.returns, extras)

    async def _upload(
        self,
        route: Route[T],
        files: list[UploadedPart],
        fields: Mapping[str, Any],
        extras: CallExtras,
        on_progress: ProgressHook | None = None,
        *,
        target: ApiTarget | None = None,
    ) -> T:
        """The same for a form, whose files are opened now and closed at the end."""
        from ._upload import open_upload

        form = {**fields, **(extras.body or {})}
        target = target or route.target(extras.query)
        async with open_upload(target, files, form, on_progress, method=route.method, safety=route.safety) as request:
            return await self._execute(request, route.returns, extras)

    def _execute(self, request: PreparedRequest, receive: Receiver[T], extras: CallExtras) -> Coroutine[Any, Any, T]:
        api = self._api if extras is NO_EXTRAS else apply(extras, self._api)
        if self._mode is not None:
            receive = self._mode(receive)
        key = extras.idempotency_key
        return api.call(request, receive) if key is None else api.call_keyed(request, receive, key)


R = TypeVar("R", bound=Resource)


def in_mode(resource: R, mode: Mode) -> R:
    """For the view of a resource: its methods give the answer itself."""
    resource._mode = mode  # pyright: ignore[reportPrivateUsage]
    return resource


def names_of(options: type) -> frozenset[str]:
    """The keywords that a `TypedDict` of options declares. The key is none of a request: `taken_in` has taken it."""
    return frozenset(options.__annotations__) - {"api_key"}


READ_OPTIONS = names_of(ReadOptions)


def apply(extras: CallExtras, api: Api) -> Api:
    """The API with the options of one call."""
    changed: dict[str, Any] = {}
    if extras.headers is not None:
        changed["headers"] = {**api.options.headers, **checked_headers(extras.headers)}
    if extras.timeout is not NOT_GIVEN:
        changed["timeout"] = as_timeout(extras.timeout)
    if extras.deadline is not NOT_GIVEN:
        changed["deadline"] = extras.deadline
    return api.changed(**changed) if changed else api


def taken_in(
    method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What every public method does with its arguments first. One that is `NOT_GIVEN` has its default, and `api_key`
    is another resource: one of that key.

    Args:
        args: its resource, and what has no keyword.
        kwargs: the key among them is masked, also for the caller.

    Raises:
        InvalidInputError: one is the client's key, pasted in the wrong place.
        ConfigurationError: `api_key` can't be one.
    """
    kept = given(hide_key(kwargs) if "api_key" in kwargs else kwargs)
    if "api_key" in kept and (key := kept.pop("api_key")) is not None:
        args = (args[0]._with_key(key), *args[1:])
    api = args[0]._api
    if api.are_keys(kept.values()):
        raise pasted(f"{next(name for name, value in kept.items() if api.are_keys((value,)))}=")
    if len(args) > 1 and api.are_keys(args):
        place = next(place for place, value in enumerate(args) if api.are_keys((value,)))
        raise pasted(f"{inspect.unwrap(method).__code__.co_varnames[place]}=")
    return args, kept


def made_at_once(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """For a method that returns a coroutine of its own making: it takes in its arguments when it is called, so that the
    caller may change them before the call begins. What is wrong with them is still raised where it is awaited."""

    make: Any = method

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        coroutine: Coroutine[Any, Any, T]
        try:
            own, arguments = taken_in(make, args, kwargs)
            coroutine = make(*own, **arguments)
        except RelayDanceError as error:
            coroutine = _raise(error.with_traceback(None))
        # For the warning about one that is never awaited.
        name = f"{type(args[0]).__name__}.{method.__name__}"
        setattr(coroutine, "__qualname__", name)  # noqa: B010  (not every awaitable has one)
        return coroutine

    setattr(call, _TAKES_IN, True)
    return marked(call)


def _take_in_all(resource: type) -> None:
    """The public methods of a resource, those beside that `made_at_once` has seen to."""
    for name, method in list(vars(resource).items()):
        if isinstance(method, FunctionType) and not name.startswith("_") and not hasattr(method, _TAKES_IN):
            is_coroutine = bool(method.__code__.co_flags & inspect.CO_COROUTINE)  # and not only marked as one
            setattr(resource, name, made_at_once(method) if is_coroutine else _taking_in(method))


def _taking_in(method: Callable[P, T]) -> Callable[P, T]:
    """For one that returns something else, such as a generator."""
    make: Any = method

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        own, arguments = taken_in(make, args, kwargs)
        result: T = make(*own, **arguments)
        return result

    return call


def marked(function: Callable[P, T]) -> Callable[P, T]:
    """A function that returns a coroutine of its own making, marked so that it passes for what it is: mocks and
    frameworks ask."""
    # Python 3.11 knows only asyncio's own mark.
    mark: Any = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        mark(function)
    else:
        setattr(function, "_is_coroutine", getattr(asyncio.coroutines, "_is_coroutine"))  # noqa: B009, B010  (private)
    return function


async def _raise(error: RelayDanceError) -> Any:
    try:
        raise error
    finally:
        del error  # it would know itself, through its traceback


def require_text(value: object, name: str) -> None:
    """A non-empty string.

    Raises:
        InvalidInputError: when it is anything else.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{name} must be a non-empty string, not {value!r:.80}")
