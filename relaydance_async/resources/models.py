"""`GET /models`."""

from __future__ import annotations

from typing import Unpack

from .._call import as_model
from .._sansio.extras import CallExtras
from ..models._options import ReadOptions
from ..models.catalog import Model, ModelList
from ._resource import READ_OPTIONS, Resource
from ._route import get

LIST = get("models.list", "/models", as_model(ModelList))
RETRIEVE = get("models.retrieve", "/models/{model}", as_model(Model))


class Models(Resource):
    """The models that the key can use. The list is the gateway's to change."""

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
