"""`GET /models`."""

from __future__ import annotations

from .._sansio.request import build_get, path_segment
from ..models.catalog import Model, ModelList
from ._resource import Resource


class Models(Resource):
    """The models that the key can use. The list is the gateway's to change."""

    async def list(self) -> ModelList:
        """All models. Safe to repeat, so every transient failure is retried."""
        return await self._call(build_get("/models"), ModelList)

    async def retrieve(self, model: str) -> Model:
        """One model by its id.

        Raises:
            NotFoundError: there is none of that id, or the key may not use it.
        """
        return await self._call(build_get(f"/models/{path_segment(model, name='model')}"), Model)
