"""`POST /responses`: answered by the gateway's software, not in RelayDance's documentation."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Literal, TypeAlias, Unpack, overload

from .._call import as_model, as_stream
from .._sansio.extras import CallExtras
from ..models.response import RawResponse
from ..models.responses import Response, ResponseParams
from ._resource import Resource, made_at_once, names_of, require_text
from ._response_stream import ResponseStream, open_response_stream
from ._route import thin_post
from ._signature import show_in_views
from ._streamed_response import StreamedResponseManager
from ._views import RawView, StreamedView

Input: TypeAlias = str | Sequence[Mapping[str, Any]] | None

CREATE = thin_post("responses.create", "/responses", as_model(Response))
_PARAMS = names_of(ResponseParams)
_STREAM = as_stream(open_response_stream)


class Responses(Resource):
    """OpenAI's responses. RelayDance documents chat completions; which models answer here, it doesn't say."""

    @property
    def with_raw_response(self) -> ResponsesRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return ResponsesRaw(Responses(self._api))

    @property
    def with_streaming_response(self) -> ResponsesStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return ResponsesStreamed(Responses(self._api))

    @overload
    def create(
        self,
        *,
        model: str,
        input: Input = None,
        stream: Literal[False] | None = None,
        **params: Unpack[ResponseParams],
    ) -> Coroutine[Any, Any, Response]: ...

    @overload
    def create(
        self, *, model: str, input: Input = None, stream: Literal[True], **params: Unpack[ResponseParams]
    ) -> Coroutine[Any, Any, ResponseStream]: ...

    @made_at_once
    def create(
        self, *, model: str, input: Input = None, stream: bool | None = None, **params: Unpack[ResponseParams]
    ) -> Coroutine[Any, Any, Any]:
        """Ask a model. Billed per token.

        Args:
            model: its id.
            input: a text, or items as OpenAI's.
            stream: give the events as they come, as a `ResponseStream` to be used with `async with`.
            params: `instructions`, `tools`, `max_output_tokens` and what else OpenAI's method takes; unknown ones
                through `extra_body`.

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: before anything is sent.
            NotFoundError: the gateway doesn't offer it.
            APIStatusError: the gateway refused or failed.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.

        Cancelling it after the request was sent may leave something that is paid for.
        """
        require_text(model, "model")
        arguments, extras = CallExtras.take(params, _PARAMS)
        arguments = {"model": model, "input": input, "stream": True if stream else None, **arguments}
        return self._post(CREATE, arguments, extras, receive=_STREAM if stream else None)


# A view hides overloads from type checkers: so each is told.


class ResponsesRaw(RawView):
    """See `Responses.with_raw_response`."""

    @overload
    def create(
        self,
        *,
        model: str,
        input: Input = None,
        stream: Literal[False] | None = None,
        **params: Unpack[ResponseParams],
    ) -> Coroutine[Any, Any, RawResponse[Response]]: ...

    @overload
    def create(
        self, *, model: str, input: Input = None, stream: Literal[True], **params: Unpack[ResponseParams]
    ) -> Coroutine[Any, Any, RawResponse[ResponseStream]]: ...

    def create(self, **arguments: Any) -> Any:
        """See `Responses.create`."""
        return self._made(self._resource.create(**arguments))


class ResponsesStreamed(StreamedView):
    """See `Responses.with_streaming_response`."""

    @overload
    def create(
        self,
        *,
        model: str,
        input: Input = None,
        stream: Literal[False] | None = None,
        **params: Unpack[ResponseParams],
    ) -> StreamedResponseManager[Response]: ...

    @overload
    def create(
        self, *, model: str, input: Input = None, stream: Literal[True], **params: Unpack[ResponseParams]
    ) -> StreamedResponseManager[ResponseStream]: ...

    def create(self, **arguments: Any) -> Any:
        """See `Responses.create`."""
        return self._made(self._resource.create(**arguments))


show_in_views(Responses, ResponsesRaw, ResponsesStreamed)
