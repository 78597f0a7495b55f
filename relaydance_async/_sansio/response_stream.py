"""A streamed response of OpenAI's kind: it is whole when its last event says so, and has the response in it."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import IncompleteStreamError
from ..models.responses import Response, ResponseEvent
from .event_stream import EventDecoder

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponseDecoder(EventDecoder[ResponseEvent]):
    """See `EventDecoder`.

    Attributes:
        response: as the last event had it; None before.
    """

    def __init__(self, *, status: int, limit: int) -> None:
        super().__init__(ResponseEvent.model_validate_json, status=status, limit=limit)
        self.response: Response | None = None

    def feed(self, data: bytes) -> Iterator[ResponseEvent]:
        """See `EventDecoder`."""
        for event in super().feed(data):
            if event.type == "response.output_text.delta" and isinstance(event.delta, str):
                self.text += event.delta
            if event.type in _ENDS:
                self.response = event.response
            yield event

    def close(self) -> None:
        """See `EventDecoder`.

        Raises:
            IncompleteStreamError: no event has said that it is whole.
        """
        super().close()
        if self.response is None:
            raise self._error("the stream ended without its last event: the answer is cut off", IncompleteStreamError)
