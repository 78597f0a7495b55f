"""`relaydance models`, `balance`, `logs` and `limits`: what the key has, and what it has done."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from .. import AsyncRelayDance, RelayDanceError
from ..models.account import LogRow
from ._exits import DONE
from ._play import play
from ._session import Here

PATIENCE = 20.0
"""Seconds that a question may take which costs nothing, and which a person waits for."""
Count = Annotated[int, Parameter(validator=Number(gte=1))]


def models(*, session: Here) -> int:
    """Show the models that the key can use."""

    async def work(client: AsyncRelayDance) -> None:
        found = await client.models.list()
        session.output.many(
            ({"id": one.id, "owned_by": one.owned_by, "endpoints": one.supported_endpoint_types} for one in found),
            none="this key can use no model: the console shows what it may use",
        )

    play(session, work, deadline=PATIENCE)
    return DONE


def balance(*, session: Here) -> int:
    """Show what is left to spend, in US dollars."""

    async def work(client: AsyncRelayDance) -> None:
        found = await client.account.balance()
        session.output.one(
            {
                "key": found.name,
                "available_usd": _usd(found.available_usd),
                "used_usd": _usd(found.used_usd),
                "total_usd": _usd(found.total_usd),
                "unlimited": found.unlimited,
                "expires": _time(found.expires_at),
            }
        )

    play(session, work, deadline=PATIENCE)
    return DONE


def logs(*, limit: Count = 20, model: str | None = None, session: Here) -> int:
    """Show the key's own books: charges, errors and refunds, the newest first.

    Args:
        limit: so many rows; the gateway tells 1,000 at most.
        model: only those of this model.
    """

    async def work(client: AsyncRelayDance) -> None:
        rows = [row for row in await client.account.log() if model is None or row.model_name == model]
        session.output.many(map(_log_record, rows[:limit]), none="the books are empty")

    play(session, work, deadline=PATIENCE)
    return DONE


def _log_record(row: LogRow) -> dict[str, Any]:
    return {
        "time": _time(row.created_at),
        "kind": row.kind,
        "usd": _usd(row.usd),
        "model": row.model_name,
        "path": row.path,
        "request_id": row.request_id,
    }


def limits(*, asks: Count = 10, session: Here) -> int:
    """Show what is known of the key's limits. For that it asks for the list of models a few times, which is free.

    The limits of clips, images and chats are learned only while these are made; `video` and `batch` show them then.

    Args:
        asks: so many times, at once.
    """

    async def work(client: AsyncRelayDance) -> None:
        answers = await asyncio.gather(*(client.models.list() for _ in range(asks)), return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(errors) == len(answers) or not all(isinstance(error, RelayDanceError) for error in errors):
            raise errors[0]
        snapshot = client.limits.snapshot()
        session.output.many(
            (
                {
                    "what": one.name,
                    "state": one.state,
                    "per_minute": one.rate and round(one.rate * 60, 1),
                    "at_once": one.in_flight_limit,
                    "refused": one.refusals,
                    "why": one.why,
                }
                for one in snapshot.limiters
            ),
            none=f"no limit was met in {asks} calls",
        )

    play(session, work, deadline=PATIENCE)
    return DONE


def _usd(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
