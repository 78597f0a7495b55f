"""The base of every model that arrives over the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from ._shown import short
from .meta import ResponseMeta

Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that a database and a date can hold. A larger one is kept as `raw_NAME`."""


class Result(BaseModel):
    """What a call gives."""

    # No field and no private attribute of pydantic's: each of those costs every model that is decoded.
    __slots__ = ("_meta",)

    @property
    def meta(self) -> ResponseMeta:
        """The circumstances of the call that gave it: request id, status, headers, attempts, times, whether it was
        replayed. They are no part of it: copies and pickles don't have them, and `==` doesn't look at them."""
        try:
            found: ResponseMeta | Callable[[], ResponseMeta] = object.__getattribute__(self, "_meta")
        except AttributeError:
            return _NOTHING_KNOWN
        if not isinstance(found, ResponseMeta):
            found = found()
            self.give_meta(found)
        return found

    @property
    def _request_id(self) -> str | None:
        """The gateway's id of the request, as OpenAI's client names it; see `meta`."""
        return self.meta.request_id

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # A repr goes into logs and tracebacks.
        return [(name, short(value)) for name, value in super().__repr_args__()]

    def give_meta(self, meta: ResponseMeta | Callable[[], ResponseMeta], /) -> None:
        """For whoever makes the call: the circumstances, or what makes them when somebody asks."""
        object.__setattr__(self, "_meta", meta)

    def told_by(self, other: Result, /) -> Self:
        """This one, which was made of another, with the circumstances of that one's call."""
        self.give_meta(lambda: other.meta)
        return self

    def to_dict(
        self,
        *,
        mode: Literal["json", "python"] = "python",
        use_api_names: bool = True,
        exclude_unset: bool = True,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        warnings: bool = True,
    ) -> dict[str, Any]:
        """The result as a dict: what came, under the API's names. The same as OpenAI's client has.

        Args:
            mode: "json": only what JSON has, such as texts for dates.
            use_api_names: rather than those of the attributes.
            exclude_unset: leave out what didn't come.
            exclude_defaults, exclude_none: leave out what has its default, what is None.
            warnings: warn of a value that doesn't fit its field.
        """
        return self.model_dump(
            mode=mode,
            by_alias=use_api_names,
            exclude_unset=exclude_unset,
            exclude_defaults=exclude_defaults,
            exclude_none=exclude_none,
            warnings=warnings,
        )

    def to_json(
        self,
        *,
        indent: int | None = 2,
        use_api_names: bool = True,
        exclude_unset: bool = True,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        warnings: bool = True,
    ) -> str:
        """The same as JSON.

        Args:
            indent: blanks of each level; None: all in one line.
            use_api_names, exclude_unset, exclude_defaults, exclude_none, warnings: as of `to_dict`.
        """
        return self.model_dump_json(
            indent=indent,
            by_alias=use_api_names,
            exclude_unset=exclude_unset,
            exclude_defaults=exclude_defaults,
            exclude_none=exclude_none,
            warnings=warnings,
        )


_NOTHING_KNOWN = ResponseMeta()


class WireModel(Result):
    """Plain data from the API. Fields that this version doesn't know are kept, in `model_extra` and as attributes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", protected_namespaces=())
