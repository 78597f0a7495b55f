"""`GET /models`."""

from __future__ import annotations

from typing import Unpack

from .._call import as_model
from .._sansio.extras import CallExtras
from ..models._options import ReadOptions
from ..models.catalog import Model, ModelList
from ._resource import READ_OPTIONS, Resource
from ._route import get
from ._views import Raw, RawView, Streamed, StreamedView

LIST = get("models.list", "/models", as_model(ModelList))
RETRIEVE = get("models.retrieve", "/models/{model}", as_model(Model))


class Models(Resource):
    """The models that the key can use. The list is the gateway's to change."""

    @property
    def with_raw_response(self) -> ModelsRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return ModelsRaw(Models(self._api))

    @property
    def with_streaming_response(self) -> ModelsStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return ModelsStreamed(Models(self._api))

    async def list(self, **options: Unpack[ReadOptions]) -> ModelList:
        """All models. Safe to repeat, so every transient failure is retried.

        Args:
            options: `extra_headers`, `extra_query`, `timeout`, `deadline`.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        return await self._get(LIST, extras)

    async def retrieve(self, model: str, **options: Unpack[ReadOptions]) -> Model:
        """One model by its id.

        Args:
            model: its id.
            options: as for `list`.

        Raises:
            NotFoundError: there is none of that id, or the key may not use it.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        return await self._get(RETRIEVE, extras, model=model)


class ModelsRaw(RawView):
    """See `Models.with_raw_response`."""

    list = Raw(Models.list)
    retrieve = Raw(Models.retrieve)


class ModelsStreamed(StreamedView):
    """See `Models.with_streaming_response`."""

    list = Streamed(Models.list)
    retrieve = Streamed(Models.retrieve)
