"""What the tests of chats ask, and what was sent."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from tests.kit.transports import Tap

MODEL = "grok-4.3"
HELLO: list[Any] = [{"role": "user", "content": "one two three"}]


class City(BaseModel):
    """A place."""

    name: str
    people: int = 3


BONN = '{"name": "Bonn", "people": 330000}'


def bodies(heard: Tap) -> list[Any]:
    """The JSON that was sent, in order."""
    sent = [request.body for request in heard.requests]
    return [json.loads(body) for body in sent if isinstance(body, bytes) and body]
