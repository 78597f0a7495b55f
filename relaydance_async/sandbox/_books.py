"""The key's own books: its log of charges, errors and refunds, and the price list (wire 9)."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from ._accounts import Offer, to_usd
from ._catalog import CLIP_UNITS, ENDPOINT_TYPES, IMAGE_UNITS, TOKEN_UNITS, Kind
from ._dialects import render_unknown_path
from ._exchange import Answer, Exchange
from ._json import Json, dump

CHARGE, ERROR, REFUND = 2, 5, 6
MOST_ROWS = 1000


@dataclass(frozen=True)
class Row:
    """One line of the log."""

    type: int
    at: float
    """Seconds of the sandbox clock."""
    model: str
    units: int
    request_id: str
    path: str
    is_stream: bool
    content: str

    def to_json(self, token_name: str, *, with_request_id: bool) -> Json:
        row: Json = {
            "created_at": int(self.at),
            "type": self.type,
            "content": self.content,
            "token_name": token_name,
            "model_name": self.model,
            "quota": self.units,
            "use_time": 0,
            "is_stream": self.is_stream,
            "other": dump(self._other()).decode(),
        }
        if with_request_id:
            row["request_id"] = self.request_id
        return row

    def _other(self) -> Json:
        other: Json = {"request_path": self.path, "group_ratio": 1}
        if "/video" in self.path:
            other |= {"is_task": True, "model_price": to_usd(CLIP_UNITS)}
        elif "/images" in self.path:
            other["model_price"] = to_usd(IMAGE_UNITS)
        else:
            other |= {"model_price": -1, "model_ratio": TOKEN_UNITS, "completion_ratio": 1}
        return other


class Books:
    """The newest rows of each key. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, deque[Row]] = {}

    def add(self, key: str, row: Row) -> None:
        with self._lock:
            self._rows.setdefault(key, deque(maxlen=MOST_ROWS)).append(row)

    def rows(self, key: str, until: float) -> list[Row]:
        """Those written by `until`, newest first."""
        with self._lock:
            return [row for row in reversed(self._rows.get(key, ())) if row.at <= until]

    def reset(self) -> None:
        with self._lock:
            self._rows.clear()


def build_price(name: str, kind: Kind) -> Json:
    per_token = kind == "chat"
    return {
        "model_name": name,
        "quota_type": 0 if per_token else 1,
        "model_ratio": TOKEN_UNITS if per_token else 0,
        "completion_ratio": 1 if per_token else 0,
        "model_price": 0 if per_token else to_usd(CLIP_UNITS if kind == "video" else IMAGE_UNITS),
        "owner_by": "",
        "enable_groups": ["default"],
        "supported_endpoint_types": [ENDPOINT_TYPES[kind]],
    }


def refuse_offer(offer: Offer, exchange: Exchange) -> Answer | None:
    """How a route that the operator has switched off answers; None when it is on."""
    if offer == "on":
        return None
    if offer == "404":
        answer = render_unknown_path(exchange.method, exchange.path, "gateway")
    else:
        body = {"success": False, "message": "Unauthorized" if offer == "401" else "this feature is not enabled"}
        answer = Answer(401 if offer == "401" else 200, dump(body))
    answer.accepted, answer.code = False, "not_offered"
    return answer
