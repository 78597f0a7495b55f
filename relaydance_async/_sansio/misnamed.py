"""Keywords that a function doesn't take: the error says what was probably meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Never, TypedDict


class FromOpenAI(TypedDict, total=False):
    """What openai's client takes, and this one can't."""

    organization: Never
    project: Never
    webhook_secret: Never
    websocket_base_url: Never


_NOT_HERE = {
    "organization": "organization= has no meaning here: a key of RelayDance belongs to one account. Leave it out",
    "project": "project= has no meaning here: a key of RelayDance belongs to one account. Leave it out",
    "webhook_secret": "RelayDance signs no webhooks: see relaydance_async.webhooks.WebhookReceiver",
    "websocket_base_url": "RelayDance has no websockets: leave websocket_base_url= out",
}


def unknown_keyword(name: str, known: Iterable[str]) -> str:
    """What is wrong, and what may have been meant."""
    near = get_close_matches(name, known, 1)
    return f"unexpected keyword argument {name!r}{f'; did you mean {near[0]}?' if near else ''}"


def refuse_unknown(unknown: Mapping[str, object], function: Callable[..., Any]) -> None:
    """Nothing, if there is none.

    Raises:
        TypeError: there is one; it says what was meant.
    """
    for name in unknown:
        known = [known for known in inspect.signature(function).parameters if not known.startswith("_")]
        raise TypeError(_NOT_HERE.get(name) or f"{function.__qualname__}: {unknown_keyword(name, known)}")
