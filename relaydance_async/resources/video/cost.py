"""What a clip costs."""

from __future__ import annotations

from typing import Unpack

from ..._sansio.extras import CallExtras
from ..._sansio.pricing import cost_of_clip
from ...errors import InvalidInputError, NotFoundError
from ...models._options import ReadOptions
from ...models.pricing import ClipCost
from ...models.video import MOST_SECONDS
from .._prices import known_prices
from .._resource import READ_OPTIONS, require_text
from .tasks import TaskResource


class Costing(TaskResource):
    """Tells prices."""

    async def cost(self, *, model: str, seconds: float | str | None = None, **options: Unpack[ReadOptions]) -> ClipCost:
        """What a clip costs by the gateway's price list, which is read every ten minutes at most.

            cost = await client.video.cost(model="grok-imagine-video", seconds=10)
            print(cost.usd)

        Args:
            model: its id.
            seconds: the clip's length.
            options: `extra_headers`, `extra_query`, `timeout`, `deadline`, if the list is to be read.

        Raises:
            InvalidInputError: `seconds` is no length.
            NotFoundError: the gateway tells no prices, or none of this model.

        Cancelling it leaves nothing.
        """
        require_text(model, "model")
        length = _length(seconds)
        _, extras = CallExtras.take(options, READ_OPTIONS)
        price = (await known_prices(self._api, extras)).get(model)
        if price is None:
            raise NotFoundError(f"the gateway tells no price of the model {model!r}")
        return cost_of_clip(price, length)


def _length(seconds: float | str | None) -> float | None:
    try:
        length = None if seconds is None else float(seconds)
    except (TypeError, ValueError):
        raise InvalidInputError(f"seconds is a number of seconds, not {seconds!r:.80}") from None
    if length is not None and not 0 < length < MOST_SECONDS:
        raise InvalidInputError("seconds must be more than 0, and finite")
    return length
