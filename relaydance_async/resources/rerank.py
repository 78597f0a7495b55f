"""`POST /rerank`: answered by the gateway's software, not in RelayDance's documentation."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, Unpack

from .._call import as_model
from .._sansio.extras import CallExtras
from ..models.rerank import RerankParams, RerankResponse
from ._resource import Resource, made_at_once, names_of, require_text
from ._route import thin_post
from ._views import Raw, RawView, Streamed, StreamedView

CREATE = thin_post("rerank.create", "/rerank", as_model(RerankResponse))
_PARAMS = names_of(RerankParams)


class Rerank(Resource):
    """Documents in the order in which they fit a question. RelayDance documents no model for it."""

    @property
    def with_raw_response(self) -> RerankRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return RerankRaw(Rerank(self._api))

    @property
    def with_streaming_response(self) -> RerankStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return RerankStreamed(Rerank(self._api))

    @made_at_once
    def create(
        self, *, model: str, query: str, documents: Sequence[str | Mapping[str, Any]], **params: Unpack[RerankParams]
    ) -> Coroutine[Any, Any, RerankResponse]:
        """Put documents in order.

        Args:
            model: its id.
            query: the question.
            documents: texts, or objects with a `text`.
            params: `top_n`, `return_documents`, `max_chunks_per_doc`; unknown ones through `extra_body`.

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
        return self._post(CREATE, {"model": model, "query": query, "documents": documents, **arguments}, extras)


class RerankRaw(RawView):
    """See `Rerank.with_raw_response`."""

    create: Final = Raw(Rerank.create)


class RerankStreamed(StreamedView):
    """See `Rerank.with_streaming_response`."""

    create: Final = Streamed(Rerank.create)
