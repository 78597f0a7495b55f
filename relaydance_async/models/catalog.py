"""The models that a key can use."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING, Any

from ._base import WireModel
from ._shown import table
from .hints import ModelKind, VideoHints, kind_of, video_hints_of

if TYPE_CHECKING:
    from .pricing import Price


class Model(WireModel):
    """A model of the gateway, and what is known of it besides. None of that is ever a reason to refuse a call.

    Attributes:
        id: to be named in calls.
        object, created, owned_by: as OpenAI has them.
        supported_endpoint_types: the gateway's words for what it can do, or None.
    """

    __slots__ = ("_price",)

    id: str
    object: str | None = None
    created: int | None = None
    owned_by: str | None = None
    supported_endpoint_types: list[str] | None = None

    @property
    def kind(self) -> ModelKind | None:
        """What it makes, by the gateway's word or else by its id; None when nobody knows."""
        return kind_of(self.id, self.supported_endpoint_types)

    @property
    def video(self) -> VideoHints | None:
        """What the documentation says of its clips; None when it makes none."""
        return video_hints_of(self.id) if self.kind == "video" else None

    @property
    def price(self) -> Price | None:
        """What it costs, after `models.list(prices=True)`; None when that isn't known. Copies don't have it."""
        found: Price | None = getattr(self, "_price", None)
        return found

    def give_price(self, price: Price | None, /) -> None:
        """For whoever reads the price list."""
        object.__setattr__(self, "_price", price)


class ModelList(WireModel):
    """The models that the key can use: iterable, and `"grok-4.3" in models` asks by id."""

    object: str | None = None
    data: list[Model]

    def __iter__(self) -> Iterator[Model]:  # type: ignore[override]
        return iter(self.data)

    async def __aiter__(self) -> AsyncGenerator[Model, None]:
        for model in self.data:
            yield model

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
