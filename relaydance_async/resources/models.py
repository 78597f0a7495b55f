"""`GET /models`."""

from __future__ import annotations

from .._call import as_model
from ..models.catalog import Model, ModelList
from ._resource import Resource
from ._route import get

LIST = get("models.list", "/models", as_model(ModelList))
RETRIEVE = get("models.retrieve", "/models/{model}", as_model(Model))


class Models(Resource):
    """The models that the key can use. The list is the gateway's to change."""

    async def list(self) -> ModelList:
        """All models. Safe to repeat, so every transient failure is retried."""
        return await self._get(LIST)

    async def retrieve(self, model: str) -> Model:
        """One model by its id.

        Raises:
            NotFoundError: there is none of that id, or the key may not use it.
        """
        return await self._get(RETRIEVE, model=model)
