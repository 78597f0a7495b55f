"""Many calls that were ended early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._base import RelayDanceError

if TYPE_CHECKING:
    from ..models.outcome import Outcome


class FanOutStoppedError(RelayDanceError):
    """A fan-out began no more items: one of them failed with a class of `stop_on`, or the iterable did.

    The error that stopped it is the `__cause__`. The items that had begun went on to their ends, and you were given the
    outcome of each.

    Attributes:
        index: of the first item that was not begun. With a list, `items[index:]` are those that are left.
        outcomes: of `fan_out_list`, how each item before it ended. Of `fan_out`, which has given them out, empty.
    """

    _hint = "Mend what stopped it, and go on with the items from that index"

    def __init__(
        self, message: str = "", *, index: int = 0, outcomes: tuple[Outcome[Any, Any], ...] = (), **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.index = index
        self.outcomes = outcomes
