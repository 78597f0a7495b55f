"""The models that a key can use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._base import WireModel
from ._shown import table


class Model(WireModel):
    """A model of the gateway."""

    id: str
    object: str | None = None
    created: int | None = None
    owned_by: str | None = None
    supported_endpoint_types: list[str] | None = None


class ModelList(WireModel):
    """The models that the key can use: iterable, and `"grok-4.3" in models` asks by id."""

    object: str | None = None
    data: list[Model]

    def __iter__(self) -> Iterator[Model]:  # type: ignore[override]
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __contains__(self, model: Any) -> bool:
        return any(model == known.id or model == known for known in self.data)

    def __getitem__(self, index: int) -> Model:
        return self.data[index]

    def _repr_html_(self) -> str:
        """For a notebook: a table."""
        rows = (
            (model.id, model.owned_by or "", ", ".join(model.supported_endpoint_types or ())) for model in self.data
        )
        return table(rows, head=("model", "owned by", "endpoints"))
