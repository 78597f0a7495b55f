"""`GET /models`."""

from __future__ import annotations

import logging
from typing import Final, Unpack

from .._call import as_model
from .._sansio.extras import CallExtras
from .._sansio.redact import one_line
from ..errors import RelayDanceError
from ..models._options import ReadOptions
from ..models.catalog import Model, ModelList
from ._listing import Listing
from ._prices import known_prices
from ._resource import READ_OPTIONS, Resource, marked
from ._route import get
from ._views import Raw, RawView, Streamed, StreamedView

log: logging.Logger = logging.getLogger("relaydance_async")

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

    @marked
    def list(self, *, prices: bool = False, **options: Unpack[ReadOptions]) -> Listing[ModelList, Model]:
        """All models, with what is known of each: `kind`, `video`, `price`. To be awaited, or gone through with
        `async for`.

        Safe to repeat, so every transient failure is retried.

        Args:
            prices: ask for the price list as well, every ten minutes at most. Where that fails, the prices are None.
                It is not asked for otherwise, because it is another request, of a larger answer, to an endpoint that
                the API doesn't document. Health checks, and programs from openai, list the models often.
            options: `extra_headers`, `extra_query`, `timeout`, `deadline` (seconds).

        Raises:
            AuthenticationError: the gateway refuses the key.
            APIStatusError, APIConnectionError, ResponseDecodeError: it failed in each attempt.

        Cancelling it leaves nothing behind.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        return Listing(self._list(prices, extras))

    async def _list(self, prices: bool, extras: CallExtras) -> ModelList:
        models = await self._get(LIST, extras)
        if prices:
            await self._give_prices(models, extras)
        return models

    async def _give_prices(self, models: ModelList, extras: CallExtras) -> None:
        try:
            known = await known_prices(self._api, CallExtras(timeout=extras.timeout, deadline=extras.deadline))
        except RelayDanceError as error:
            log.warning("the prices of the models are not known: %s", one_line(error.message))
            return
        for model in models:
            model.give_price(known.get(model.id))

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

    list: Final = Raw(Models.list)
    retrieve: Final = Raw(Models.retrieve)


class ModelsStreamed(StreamedView):
    """See `Models.with_streaming_response`."""

    list: Final = Streamed(Models.list)
    retrieve: Final = Streamed(Models.retrieve)
