"""The receiver for what a caller wants an answer to be."""

from __future__ import annotations

from typing import Any

from .._sansio.cast import Cast, cast_of
from .._sansio.decode import build_error_in, reports_error
from ..models.binary import BinaryContent
from ..models.meta import ResponseMeta
from .answer import Answer
from .receive import Accept, Kept, Receiver, as_model, as_read


def as_cast(kind: Any) -> Receiver[Any]:
    """The answer as what `cast_to` names.

    Args:
        kind: `bytes` or `str`: as it came; None: its JSON; else what pydantic can validate.

    Raises:
        InvalidInputError: nothing can be made into it; at once.
    """
    if kind is bytes:
        return _BYTES
    if kind is str:
        return _TEXT
    cast = cast_of(kind)
    return _as_value(cast) if isinstance(cast, Cast) else as_model(cast)


def _as_value(cast: Cast) -> Receiver[Any]:
    async def read(answer: Answer) -> Any:
        return cast.decode(await answer.read(), lambda: answer.meta)

    def recall(kept: str, meta: ResponseMeta) -> Any:
        return cast.recall(kept)

    async def keep(result: Any, accept: Accept) -> bool:
        await accept(cast.written(result))
        return False

    return as_read(read, cast.name, kept=Kept(recall, keep))


async def _read_bytes(answer: Answer) -> BinaryContent:
    body = await answer.read()
    kind = answer.headers.get("content-type", "").lower()
    if kind.startswith("text/html") or (body.lstrip()[:1] == b"{" and reports_error(body)):
        raise build_error_in(body, answer.meta, "the answer reports an error")
    return BinaryContent(body, answer.facts())


async def _read_text(answer: Answer) -> str:
    return (await _read_bytes(answer)).decode("utf-8", "replace")


_BYTES = as_read(_read_bytes, "bytes")
_TEXT = as_read(_read_text, "text")
