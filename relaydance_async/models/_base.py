"""The base of every model that arrives over the wire."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from .meta import ResponseMeta

Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that a database and a date can hold. A larger one is kept as `raw_NAME`."""


class Result(BaseModel):
    """What a call gives."""

    # No field and no private attribute of pydantic's: each of those costs every model that is decoded.
    __slots__ = ("_meta",)

    @property
    def meta(self) -> ResponseMeta:
        """The circumstances of the call that gave it: whether it was replayed (`replayed`). Copies don't have them."""
        try:
            found: ResponseMeta = object.__getattribute__(self, "_meta")
        except AttributeError:
            return _NOTHING_KNOWN
        return found

    def give_meta(self, meta: ResponseMeta, /) -> None:
        """For whoever makes the call."""
        object.__setattr__(self, "_meta", meta)


_NOTHING_KNOWN = ResponseMeta()


class WireModel(Result):
    """Plain data from the API. Fields that this version doesn't know are kept, in `model_extra` and as attributes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", protected_namespaces=())
