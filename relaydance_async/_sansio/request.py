"""One request, ready to send: what a call repeats and a transport writes."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from hashlib import sha256
from typing import Any, NoReturn, TypeAlias, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json, to_jsonable_python

from ..errors import InvalidInputError
from .target import Target

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json"}


class RetrySafety(Enum):
    """What may happen when a request is sent twice."""

    SAFE = "safe"
    """Nothing: a GET."""

    BILLED = "billed"
    """It is accepted, and paid for, twice. Repeated only when it is known that it was not accepted."""

    BILLED_SMALL = "billed, but little"
    """The same, of a request that costs little and is asked by a person who waits: chat."""

    billed: bool
    """Whether it is paid for when it is accepted."""

    def __init__(self, text: str) -> None:
        self.billed = text != "safe"


@dataclass(frozen=True, slots=True)
class BodyStream:
    """A body that is sent as it is read.

    Attributes:
        open: begins one pass over the body.
        length: in bytes, or None when unknown (chunked encoding then).
        replayable: whether `open` can be called again for another attempt.
    """

    open: Callable[[], AsyncIterator[bytes]]
    length: int | None = None
    replayable: bool = True


@asynccontextmanager
async def closing_body(pieces: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T], None]:
    """One pass over a body; what it holds, such as an open file, is let go of at the end, however early that comes."""
    try:
        yield pieces
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


class LargeJson:
    """A JSON body that is too large to be kept while its call waits.

    What is kept then are copies of the caller's lists and dicts, which share their texts; the bytes are made anew for
    each attempt.

    Args:
        content: such copies.
        encoded: their bytes.
    """

    __slots__ = ("_content", "_encoded")

    def __init__(self, content: Any, encoded: bytes) -> None:
        self._content = content
        self._encoded: bytes | None = encoded

    def rest(self) -> None:
        """The call waits: let go of the bytes."""
        self._encoded = None

    def peek(self) -> bytes:
        """The bytes, which are kept if they were."""
        return self._encoded if self._encoded is not None else to_json(self._content)

    def take(self) -> bytes:
        """The bytes, for one attempt."""
        encoded, self._encoded = self._encoded, None
        return encoded if encoded is not None else to_json(self._content)


Headers: TypeAlias = Mapping[str, str]


@dataclass(slots=True)  # a frozen one takes three times as long to make
class PreparedRequest:
    """A request, with all that decides whether it may be repeated. It is never changed.

    Attributes:
        target: where it goes.
        safety: see `RetrySafety`.
        body: None, bytes, JSON that is made into bytes when it is sent, or a stream.
        headers: beside those of the client; a function is asked for them before each attempt.
        model: that is asked for, or None.
        task_id: the video task that it is about, for errors.
        canonical: of a stream, what is the same for all that ask for the same.
        opened: what its body has opened. It is closed with the call; whoever goes on with that takes it over.
        made: makes the request that is sent, when it is to be sent. This one stands for it until then: it is the same
            for all that ask for the same, where the other has addresses that are made for the moment.
    """

    method: str
    target: Target
    safety: RetrySafety = RetrySafety.SAFE
    body: bytes | LargeJson | BodyStream | None = None
    headers: Headers | Callable[[], Headers] = field(default_factory=dict[str, str])
    model: str | None = None
    task_id: str | None = None
    canonical: Callable[[], Awaitable[str]] | None = None
    opened: ExitStack | None = None
    made: Callable[[], Awaitable[PreparedRequest]] | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the body can be sent again."""
        return not isinstance(self.body, BodyStream) or self.body.replayable


_LARGE = 64 * 1024
"""Bytes of a JSON body above which a waiting call does not keep them. Most are far smaller, and then the bytes are the
least that can be kept."""


def build_json_body(content: object) -> bytes | LargeJson:
    """A JSON body, checked and independent of what the caller does to the content afterwards.

    Raises:
        InvalidInputError: as `build_json`.
    """
    encoded = build_json(content)
    return encoded if len(encoded) <= _LARGE else LargeJson(_plain(content, encoded), encoded)


def _plain(content: object, encoded: bytes) -> Any:
    plain = as_jsonable(content)
    return plain if to_json(plain) == encoded else from_json(encoded)  # a generator in it was read before


def as_jsonable(content: object) -> Any:
    """Plain data that can become JSON: copies of the lists and dicts, which share their texts.

    Raises:
        InvalidInputError: as `build_json`.
    """
    try:
        return to_jsonable_python(content, exclude_none=True, by_alias=True)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise _unsendable(error) from error


def build_json(content: object) -> bytes:
    """JSON as RFC 8259 has it.

    Raises:
        InvalidInputError: for what JSON can't hold: NaN, infinity, lone surrogates, cycles, objects without a JSON
            form.
    """
    try:
        body = to_json(content, exclude_none=True, by_alias=True)
        if _may_hold_constant(body):
            # Or a text holds the word; only a parser can tell.
            json.loads(body, parse_constant=_refuse_constant)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise _unsendable(error) from error
    return body


def _unsendable(error: Exception) -> InvalidInputError:
    return InvalidInputError(f"an argument can't be sent as JSON: {error}")


_CONSTANTS = (re.compile(rb"NaN(?<=[:,\[]NaN)"), re.compile(rb"Infinity(?<=[:,\[-]Infinity)"))
"""Values that JSON does not have. pydantic writes them right behind one of these marks, without a space. Each pattern
begins with its word, which makes the search as fast as one for the word alone."""


def _may_hold_constant(body: bytes) -> bool:
    """Whether it pays to parse the body. Base64 holds "NaN" by chance, but none of these marks."""
    if b"NaN" not in body and b"Infinity" not in body:
        return False
    return any(pattern.search(body) for pattern in _CONSTANTS)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def build_get(
    target: Target, *, task_id: str | None = None, headers: Headers | Callable[[], Headers] | None = None
) -> PreparedRequest:
    """A GET, which is always safe to repeat."""
    return PreparedRequest("GET", target, headers=headers or {}, task_id=task_id)


RAW = (bytes, bytearray, memoryview, str)
"""Bodies that are sent as they are."""


def build_request(
    method: str, target: Target, safety: RetrySafety, body: object = None, *, headers: Headers | None = None
) -> PreparedRequest:
    """A request, whatever its body: None, bytes or a text that are sent as they are, or what can be made into JSON.

    Args:
        headers: that say what the body is; None: JSON.

    Raises:
        InvalidInputError: as `build_json`.
    """
    if body is None:
        return PreparedRequest(method, target, safety)
    sent = JSON_HEADERS if headers is None else headers
    if isinstance(body, RAW):
        raw = _as_bytes(body)  # pyright: ignore[reportUnknownArgumentType]
        return PreparedRequest(method, target, safety, raw, sent, canonical=partial(_digest_of, raw))
    return PreparedRequest(method, target, safety, build_json_body(body), sent, model=model_of(body))


def _as_bytes(body: bytes | bytearray | memoryview[int] | str) -> bytes:
    try:
        return body.encode() if isinstance(body, str) else bytes(body)
    except UnicodeEncodeError as error:
        raise _unsendable(error) from error


async def _digest_of(body: bytes) -> str:
    return sha256(body).hexdigest()


def build_post(
    target: Target,
    arguments: Mapping[str, Any],
    *,
    extra_body: Mapping[str, Any] | None = None,
    safety: RetrySafety = RetrySafety.BILLED,
) -> PreparedRequest:
    """A billed POST of JSON. Top-level arguments that are None are left out.

    Raises:
        InvalidInputError: as `build_json`.
    """
    content = {name: value for name, value in arguments.items() if value is not None}
    if extra_body:
        content.update(extra_body)
    model = content.get("model")
    body = build_json_body(content)
    return PreparedRequest("POST", target, safety, body, JSON_HEADERS, model if isinstance(model, str) else None)


def model_of(content: object) -> str | None:
    """The model that a body asks for."""
    if isinstance(content, Mapping):
        model: object = cast("Mapping[str, object]", content).get("model")
    else:
        model = getattr(content, "model", None)
    return model if isinstance(model, str) else None


def build_model(model: type[M], arguments: Mapping[str, Any]) -> M:
    """A request model from arguments.

    Raises:
        InvalidInputError: naming the argument and what is wrong with it.
    """
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        problems = "; ".join(
            _problem(item["loc"], item["msg"]) for item in error.errors(include_url=False, include_input=False)
        )
        raise InvalidInputError(problems) from None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    # The deeper parts name branches of a union, which tell a caller nothing.
    name = ".".join(str(part) for part in location[:2])
    text = message.removeprefix("Value error, ")
    return f"{name}: {text}" if name else text
