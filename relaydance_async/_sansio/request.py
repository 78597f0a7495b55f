"""One request, ready to send: what the controller repeats and a transport writes."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from ..errors import InvalidInputError

M = TypeVar("M", bound=BaseModel)

JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json"}


class RetrySafety(Enum):
    """What may happen when a request is sent twice."""

    SAFE = "safe"
    """Nothing: a GET."""

    BILLED = "billed"
    """It is accepted, and paid for, twice. Repeated only when it is known that it was not accepted."""


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
async def closing_body(pieces: AsyncIterator[bytes]) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """One pass over a body; what it holds, such as an open file, is let go of at the end, however early that comes."""
    try:
        yield pieces
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request, with all that decides whether it may be repeated.

    Attributes:
        path: below the base URL; one that begins with `/api/` is below the host's root; an absolute URL is another
            origin's, which the key must not be sent to.
        safety: see `RetrySafety`.
        body: None, bytes, or a stream.
        headers: beside those of the client.
        task_id: the video task that it is about, for errors.
        public_only: fail rather than connect to an address that is not public. Through a proxy, which looks names up
            itself, it has no effect.
    """

    method: str
    path: str
    safety: RetrySafety = RetrySafety.SAFE
    body: bytes | BodyStream | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    task_id: str | None = None
    public_only: bool = False

    @property
    def is_foreign(self) -> bool:
        """Whether it goes to another origin than the API's."""
        return "://" in self.path

    @property
    def repeatable(self) -> bool:
        """Whether the body can be sent again."""
        return not isinstance(self.body, BodyStream) or self.body.replayable


def build_get(path: str, *, task_id: str | None = None) -> PreparedRequest:
    """A GET, which is always safe to repeat."""
    return PreparedRequest("GET", path, task_id=task_id)


def build_post(path: str, body: Mapping[str, Any], *, extra_body: Mapping[str, Any] | None = None) -> PreparedRequest:
    """A billed POST of JSON. Top-level arguments that are None are left out."""
    content = {name: value for name, value in body.items() if value is not None}
    if extra_body:
        content.update(extra_body)
    return PreparedRequest("POST", path, RetrySafety.BILLED, build_json(content), JSON_HEADERS)


def build_json(content: Mapping[str, Any]) -> bytes:
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
        raise InvalidInputError(f"an argument can't be sent as JSON: {error}") from error
    return body


_CONSTANTS = {
    b"NaN": re.compile(rb"NaN(?<=[:,\[]NaN)"),
    b"Infinity": re.compile(rb"Infinity(?<=[:,\[-]Infinity)"),
}
"""Values that JSON does not have. pydantic writes them right behind one of these marks, without a space. Each pattern
begins with its word, which makes the search as fast as one for the word alone."""


def _may_hold_constant(body: bytes) -> bool:
    """Whether it pays to parse the body. Base64 holds "NaN" by chance, but none of these marks."""
    return any(word in body and pattern.search(body) for word, pattern in _CONSTANTS.items())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def path_segment(value: object, *, name: str) -> str:
    """An id, escaped for use in a path.

    Raises:
        InvalidInputError: when it is empty or would change the path.
    """
    if not isinstance(value, str) or not value.strip() or value in (".", ".."):
        raise InvalidInputError(f"{name} must be a non-empty string, not {value!r}")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InvalidInputError(f"{name} holds characters that can't be sent: {value!r}") from None


def with_query(path: str, query: Mapping[str, str] | None) -> str:
    """The path with a query string, if there is one.

    Raises:
        InvalidInputError: for what a URL can't hold: lone surrogates.
    """
    try:
        return f"{path}?{urlencode(query)}" if query else path
    except UnicodeEncodeError:
        raise InvalidInputError("extra_query holds characters that can't be sent") from None


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
