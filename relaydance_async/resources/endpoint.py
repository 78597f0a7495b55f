"""Any endpoint: `client.request`, and the verbs."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Literal, TypeVar, Unpack, overload

from pydantic import SecretStr

from .._call import as_cast
from .._sansio.extras import CallExtras, require_mapping
from .._sansio.request import RAW, RetrySafety
from .._sansio.timeout import TimeoutTypes
from ..errors import InvalidInputError
from ..models._options import NOT_GIVEN, NotGiven
from ._endpoint_views import AnyEndpointRaw, AnyEndpointStreamed
from ._event_stream import EventStream, as_event_stream
from ._files import Files, parts_of
from ._request_options import AskOptions, PostOptions, PutOptions, Query, RequestedOptions, SendOptions
from ._resource import Resource, made_at_once
from ._route import Route, target_of
from ._signature import show_in_views

T = TypeVar("T")

_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_REPEATED_BY_ITSELF = frozenset({"POST", "PATCH"})
"""What isn't idempotent (RFC 9110 section 9.2.2): to send it twice may do it twice."""


class AnyEndpoint(Resource):
    """Every endpoint of the API, also those that this version has no name for. All others are built on this one."""

    @property
    def with_raw_response(self) -> AnyEndpointRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return AnyEndpointRaw(AnyEndpoint(self._api))

    @property
    def with_streaming_response(self) -> AnyEndpointStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return AnyEndpointStreamed(AnyEndpoint(self._api))

    @overload
    def request(
        self,
        method: str,
        path: str,
        *,
        cast_to: None = None,
        stream: Literal[False] = False,
        **options: Unpack[RequestedOptions],
    ) -> Coroutine[Any, Any, Any]: ...

    @overload
    def request(
        self,
        method: str,
        path: str,
        *,
        cast_to: type[T],
        stream: Literal[False] = False,
        **options: Unpack[RequestedOptions],
    ) -> Coroutine[Any, Any, T]: ...

    @overload
    def request(
        self,
        method: str,
        path: str,
        *,
        cast_to: None = None,
        stream: Literal[True],
        **options: Unpack[RequestedOptions],
    ) -> Coroutine[Any, Any, EventStream[Any]]: ...

    @overload
    def request(
        self, method: str, path: str, *, cast_to: type[T], stream: Literal[True], **options: Unpack[RequestedOptions]
    ) -> Coroutine[Any, Any, EventStream[T]]: ...

    @made_at_once
    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        files: Files | None = None,
        cast_to: type[Any] | None = None,
        stream: bool = False,
        billed: bool | None = None,
        timeout: TimeoutTypes | NotGiven | None = NOT_GIVEN,
        deadline: float | NotGiven | None = NOT_GIVEN,
        idempotency_key: str | None = None,
        api_key: str | SecretStr | NotGiven | None = NOT_GIVEN,
    ) -> Coroutine[Any, Any, Any]:
        """Ask any endpoint: with the client's admission, retries, deadline, errors and rules about money.

        Args:
            method: "GET", "POST", …
            path: below the base URL, such as "/embeddings"; one that begins with "/api/" is below the host's root. The
                key goes nowhere else: a URL, ".." and control characters are refused.
            body: what becomes JSON, as it is: dicts, lists, models of pydantic (their fields that are None are left
                out), dataclasses. Bytes and texts are sent as they are, as JSON unless `headers` have a `content-type`.
                With `files`: the other fields of the form.
            query: added to the URL; a list is its values under the same name, None is left out.
            headers: sent besides those of the client.
            files: of a form, by the names of their fields: each as `files.upload` takes it, a tuple of its name, itself
                and its media type, or a list of these.
            cast_to: what the answer is made into: a model of pydantic, a `TypedDict` (of `typing_extensions` before
                Python 3.12), a dataclass, `dict`, `list[…]`; `bytes` or `str`, as it came. Default: its JSON, or None
                when it is empty.
            stream: give an `EventStream` of the answer's events, each made into that; with `bytes`, of its pieces.
            billed: whether it may be paid for, and must not be done twice by mistake: it is repeated only when it is
                known that it was not accepted. Default: True for a POST or a PATCH, False for all else.
            timeout: seconds of each I/O phase, or a `Timeout`; None: no limit. Not given: the client's.
            deadline: seconds for all of it, a stream to its end; None: no limit. Not given: the client's.
            idempotency_key: for the client's journal. Not of a stream, nor of bytes or texts.
            api_key: of another user, as of `with_options`. Not given: the client's.

        Raises:
            InvalidInputError: before anything is sent: a path that leads elsewhere, what can't be sent, or a `cast_to`
                that nothing can be made into.
            ConfigurationError: a header that can't be sent.
            NotFoundError: the gateway doesn't offer it.
            APIStatusError: the gateway refused or failed, also with HTTP 200.
            ResponseDecodeError: the answer is something else than `cast_to`; `body` has it.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.

        Cancelling it after the request was sent may leave something that is paid for.
        """
        return self._ask(
            *(method, path, body, query, headers, files, cast_to, stream, billed, timeout, deadline, idempotency_key)
        )

    def _ask(
        self,
        method: str,
        path: str,
        body: object,
        query: Query | None,
        headers: Mapping[str, str] | None,
        files: Files | None,
        cast_to: type[Any] | None,
        stream: bool,
        billed: bool | None,
        timeout: TimeoutTypes | NotGiven | None,
        deadline: float | NotGiven | None,
        idempotency_key: str | None = None,
    ) -> Coroutine[Any, Any, Any]:
        method = _checked(method)
        target = target_of(path, require_mapping("query", query))
        safety = _safety_of(method, billed)
        returns = as_event_stream(cast_to) if stream else as_cast(cast_to)
        route = Route("request", method, target.route, returns, safety)
        headers = require_mapping("headers", headers)
        extras = CallExtras(None, headers, None, timeout, deadline, idempotency_key)
        if require_mapping("files", files) is not None:
            fields = require_mapping("body beside files", body)
            return self._upload(route, parts_of(files or {}), fields or {}, extras, target=target)
        return self._send(route, target, extras, body, _own_type(headers, body))

    @overload
    def get(self, path: str, *, cast_to: None = None, **options: Unpack[AskOptions]) -> Coroutine[Any, Any, Any]: ...

    @overload
    def get(self, path: str, *, cast_to: type[T], **options: Unpack[AskOptions]) -> Coroutine[Any, Any, T]: ...

    @made_at_once
    def get(
        self,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        cast_to: type[Any] | None = None,
        timeout: TimeoutTypes | NotGiven | None = NOT_GIVEN,
        deadline: float | NotGiven | None = NOT_GIVEN,
        api_key: str | SecretStr | NotGiven | None = NOT_GIVEN,
    ) -> Coroutine[Any, Any, Any]:
        """A GET, which is safe to repeat; see `request`."""
        return self._ask("GET", path, None, query, headers, None, cast_to, False, None, timeout, deadline)

    @overload
    def post(
        self, path: str, *, cast_to: None = None, stream: Literal[False] = False, **options: Unpack[PostOptions]
    ) -> Coroutine[Any, Any, Any]: ...

    @overload
    def post(
        self, path: str, *, cast_to: type[T], stream: Literal[False] = False, **options: Unpack[PostOptions]
    ) -> Coroutine[Any, Any, T]: ...

    @overload
    def post(
        self, path: str, *, cast_to: None = None, stream: Literal[True], **options: Unpack[PostOptions]
    ) -> Coroutine[Any, Any, EventStream[Any]]: ...

    @overload
    def post(
        self, path: str, *, cast_to: type[T], stream: Literal[True], **options: Unpack[PostOptions]
    ) -> Coroutine[Any, Any, EventStream[T]]: ...

    @made_at_once
    def post(
        self,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        files: Files | None = None,
        cast_to: type[Any] | None = None,
        stream: bool = False,
        billed: bool = True,
        timeout: TimeoutTypes | NotGiven | None = NOT_GIVEN,
        deadline: float | NotGiven | None = NOT_GIVEN,
        idempotency_key: str | None = None,
        api_key: str | SecretStr | NotGiven | None = NOT_GIVEN,
    ) -> Coroutine[Any, Any, Any]:
        """A POST, which is taken for a billed one unless `billed` is False; see `request`."""
        return self._ask(
            *("POST", path, body, query, headers, files, cast_to, stream, billed, timeout, deadline, idempotency_key)
        )

    @overload
    def put(self, path: str, *, cast_to: None = None, **options: Unpack[PutOptions]) -> Coroutine[Any, Any, Any]: ...

    @overload
    def put(self, path: str, *, cast_to: type[T], **options: Unpack[PutOptions]) -> Coroutine[Any, Any, T]: ...

    @made_at_once
    def put(
        self,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        files: Files | None = None,
        cast_to: type[Any] | None = None,
        billed: bool = False,
        timeout: TimeoutTypes | NotGiven | None = NOT_GIVEN,
        deadline: float | NotGiven | None = NOT_GIVEN,
        api_key: str | SecretStr | NotGiven | None = NOT_GIVEN,
    ) -> Coroutine[Any, Any, Any]:
        """A PUT, which may be repeated unless it is `billed`; see `request`."""
        return self._ask("PUT", path, body, query, headers, files, cast_to, False, billed, timeout, deadline)

    @overload
    def delete(
        self, path: str, *, cast_to: None = None, **options: Unpack[SendOptions]
    ) -> Coroutine[Any, Any, Any]: ...

    @overload
    def delete(self, path: str, *, cast_to: type[T], **options: Unpack[SendOptions]) -> Coroutine[Any, Any, T]: ...

    @made_at_once
    def delete(
        self,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        cast_to: type[Any] | None = None,
        timeout: TimeoutTypes | NotGiven | None = NOT_GIVEN,
        deadline: float | NotGiven | None = NOT_GIVEN,
        api_key: str | SecretStr | NotGiven | None = NOT_GIVEN,
    ) -> Coroutine[Any, Any, Any]:
        """A DELETE, which may be repeated: the second finds nothing; see `request`."""
        return self._ask("DELETE", path, body, query, headers, None, cast_to, False, None, timeout, deadline)


show_in_views(AnyEndpoint, AnyEndpointRaw, AnyEndpointStreamed)


def _checked(method: object) -> str:
    known = method.upper() if isinstance(method, str) else ""
    if known not in _METHODS:
        raise InvalidInputError(f"method must be one of {', '.join(_METHODS)}, not {method!r:.40}")
    return known


def _safety_of(method: str, billed: object) -> RetrySafety:
    if billed is None:
        billed = method in _REPEATED_BY_ITSELF
    if not isinstance(billed, bool):
        raise InvalidInputError(f"billed must be True, False or None, not {billed!r:.40}")
    return RetrySafety.BILLED if billed else RetrySafety.SAFE


def _own_type(headers: Mapping[str, str] | None, body: object) -> Mapping[str, str] | None:
    """No type of ours where the caller says what the bytes are."""
    is_raw = isinstance(body, RAW)
    told = is_raw and any(str(name).lower() == "content-type" for name in headers or ())
    return {} if told else None
