"""Receivers for the answer itself, around the one for its result."""

from __future__ import annotations

from typing import Any, TypeVar

from ..models.meta import ResponseMeta
from ..models.response import RawResponse
from .answer import Answer
from .receive import Accept, Kept, Receiver, reading

T = TypeVar("T")


def as_raw(receive: Receiver[T]) -> Receiver[RawResponse[T]]:
    """The result, and what it was made of."""

    async def read(answer: Answer) -> RawResponse[T]:
        tape = None if receive.holds else answer.record()
        result = await receive(answer)
        return RawResponse(answer.facts(), b"" if tape is None else bytes(tape.content), result)

    kept = None if receive.kept is None else _kept(receive.kept)
    return reading(read, f"the raw {receive.returns}", like=receive, kept=kept)


def _kept(kept: Kept[T]) -> Kept[RawResponse[T]]:
    def recall(answer: str, meta: ResponseMeta) -> RawResponse[T]:
        return RawResponse(lambda: meta, answer.encode(), kept.recall(answer, meta))

    async def keep(raw: RawResponse[Any], accept: Accept) -> bool:
        return await kept.keep(raw.parse(), accept)

    async def finish(raw: RawResponse[Any]) -> None:
        await kept.finish(raw.parse())

    return Kept(recall, keep, finish)
