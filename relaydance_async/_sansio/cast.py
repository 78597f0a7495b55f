"""An answer as whatever its caller wants it to be: what `cast_to` names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, RootModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from ..errors import InvalidInputError
from ..models.meta import ResponseMeta
from .decode import build_error_in, reports_error

_REMEMBERED = 256
"""Types whose validators are kept: each takes up to a millisecond to make."""


class Cast:
    """Makes JSON into a type that is no model of pydantic's.

    Args:
        kind: what pydantic can validate: a `TypedDict`, a dataclass, `dict`, `list[Model]`, a union, …

    Raises:
        InvalidInputError: it can't.

    Attributes:
        name: in words.
    """

    def __init__(self, kind: Any) -> None:
        self.name: str = getattr(kind, "__name__", None) or str(kind)
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(kind)
            with suppress(ValidationError):
                self._adapter.validate_json(b"null")  # only now it looks for what is named by a string
        except (PydanticUserError, PydanticUndefinedAnnotation, NameError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise InvalidInputError(f"cast_to can't be {self.name}: {reason}") from None

    def decode(self, body: bytes, meta: Callable[[], ResponseMeta]) -> Any:
        """The value in an answer of status 2xx.

        Raises:
            APIStatusError: the body is an error all the same.
            ResponseDecodeError: it is neither.
        """
        if not reports_error(body):
            try:
                return self._adapter.validate_json(body)
            except ValidationError:
                pass  # outside of it, for as its context it would tie the error to all frames of the call
        raise build_error_in(body, meta(), f"the answer has not the shape of {self.name}")

    def recall(self, kept: str) -> Any:
        """The value from what `written` made of it."""
        return self._adapter.validate_json(kept)

    def written(self, value: Any) -> BaseModel:
        """What a journal keeps of a value."""
        return RootModel[Any](self._adapter.dump_python(value, mode="json", by_alias=True))


class JsonCast(Cast):
    """Takes the JSON as it is, and nothing as None."""

    def __init__(self) -> None:
        super().__init__(Any)
        self.name = "JSON"

    def decode(self, body: bytes, meta: Callable[[], ResponseMeta]) -> Any:
        """See `Cast`."""
        return super().decode(body, meta) if body.strip() else None


def cast_of(kind: Any) -> Cast | type[BaseModel]:
    """What decodes such a type: a model of pydantic's decodes itself.

    Raises:
        InvalidInputError: nothing does.
    """
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    try:
        return _cast_of(kind)  # pyright: ignore[reportUnknownArgumentType]
    except TypeError:  # what can't be hashed
        return Cast(kind)


@lru_cache(maxsize=_REMEMBERED)
def _cast_of(kind: Any) -> Cast:
    return JsonCast() if kind is None else Cast(kind)


def decode_event(kind: Any, data: bytes) -> Any:
    """The value in an event of a stream.

    Raises:
        ValidationError: it has another shape.
    """
    if kind is str:
        return data.decode("utf-8", "replace")
    cast = cast_of(kind)
    return cast.recall(data.decode("utf-8", "replace")) if isinstance(cast, Cast) else cast.model_validate_json(data)
