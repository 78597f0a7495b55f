"""What an answer says of its own usage: one of our models, of any endpoint, or a plain object."""

from __future__ import annotations

from typing import Any

from ..models._lenient import inner, is_object

_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")


def tokens_of(answer: object) -> tuple[int | None, int | None]:
    """The tokens of the request and of the answer, as the gateway counted them."""
    usage = _usage_of(answer)
    return _first(usage, _INPUT), _first(usage, _OUTPUT)


def total_tokens_of(answer: object) -> int | None:
    """All, as the gateway counted them."""
    return _first(_usage_of(answer), ("total_tokens",))


def input_detail_of(answer: object, name: str) -> int | None:
    """How many of the request's tokens were of this kind, such as "cached_tokens"."""
    return _detail(answer, _INPUT_DETAILS, name)


def output_detail_of(answer: object, name: str) -> int | None:
    """The same of the answer's, such as "reasoning_tokens"."""
    return _detail(answer, _OUTPUT_DETAILS, name)


def cost_of(answer: object) -> Any:
    """What it says that it cost; anything may stand there."""
    return _get(_usage_of(answer), "cost")


def items_of(answer: object) -> int:
    """How many things of those that are billed by the call."""
    from ..models.images import ImagesResponse  # importing the package stays quick

    return len(answer.data) if isinstance(answer, ImagesResponse) else 1


def _usage_of(answer: object) -> object:
    plain: object = getattr(answer, "root", answer)
    return _get(plain, "usage")


def _detail(answer: object, groups: tuple[str, ...], name: str) -> int | None:
    usage = _usage_of(answer)
    return next((found for group in groups if (found := _first(_get(usage, group), (name,))) is not None), None)


def _first(values: object, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = _get(values, name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _get(values: object, name: str) -> Any:
    return inner(values, name) if is_object(values) else getattr(values, name, None)
