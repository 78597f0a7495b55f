"""`POST /embeddings`: answered by the gateway's software, not in RelayDance's documentation."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Final, Unpack

from .._call import as_model
from .._sansio.extras import CallExtras
from ..models.embeddings import EmbeddingParams, EmbeddingsResponse
from ._resource import Resource, made_at_once, names_of, require_text
from ._route import thin_post
from ._views import Raw, RawView, Streamed, StreamedView

CREATE = thin_post("embeddings.create", "/embeddings", as_model(EmbeddingsResponse))
_PARAMS = names_of(EmbeddingParams)


class Embeddings(Resource):
    """Texts as lists of numbers. RelayDance documents no model for it."""

    @property
    def with_raw_response(self) -> EmbeddingsRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return EmbeddingsRaw(Embeddings(self._api))

    @property
    def with_streaming_response(self) -> EmbeddingsStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return EmbeddingsStreamed(Embeddings(self._api))

    @made_at_once
    def create(
        self,
        *,
        model: str,
        input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
        **params: Unpack[EmbeddingParams],
    ) -> Coroutine[Any, Any, EmbeddingsResponse]:
        """Embed a text, or several. Billed per token.

        Args:
            model: its id.
            input: a text, a list of them, or tokens.
            params: `dimensions`, `encoding_format`, `user`; unknown ones through `extra_body`.

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
        return self._post(CREATE, {"model": model, "input": input, **arguments}, extras)


class EmbeddingsRaw(RawView):
    """See `Embeddings.with_raw_response`."""

    create: Final = Raw(Embeddings.create)


class EmbeddingsStreamed(StreamedView):
    """See `Embeddings.with_streaming_response`."""

    create: Final = Streamed(Embeddings.create)
