"""A successful answer's bytes into a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import RelayDanceError
from ..models.meta import ResponseMeta
from .envelope import build_decode_error, build_status_error, parse_envelope, without_lone_surrogates

M = TypeVar("M", bound=BaseModel)

_MOST_REPAIRS = 100
"""An answer with more wrong fields than this has another shape altogether."""


def decode_result(model: type[M], body: bytes, meta: Callable[[], ResponseMeta]) -> M:
    """The model in an answer of status 2xx.

    An optional field of the wrong type is dropped, and half of a surrogate pair is replaced, rather than losing the
    answer, which may be paid for.

    Args:
        model: what the body should be.
        body: JSON, decompressed.
        meta: asked only for an error.

    Raises:
        APIStatusError: the body is an error all the same (some upstreams' errors are relayed with HTTP 200).
        ResponseDecodeError: it is neither.
    """
    try:
        result = model.model_validate_json(body)
    except ValidationError as error:
        return _second_look(model, body, meta, error)
    extra = result.__pydantic_extra__
    if extra and extra.get("error"):
        raise build_error_in(body, meta(), "the answer reports an error")
    return result


def _second_look(model: type[M], body: bytes, meta: Callable[[], ResponseMeta], error: ValidationError) -> M:
    if parse_envelope(body) is None:
        repaired = repair(model, body, error)
        if repaired is not None:
            return repaired
    raise build_error_in(body, meta(), f"the answer has not the shape of a {model.__name__}") from None


def build_error_in(body: bytes, meta: ResponseMeta, problem: str) -> RelayDanceError:
    """The error that an answer of status 2xx holds, or else the one that it is."""
    envelope = parse_envelope(body)
    if envelope is not None:
        return build_status_error(meta, envelope, body=body)
    return build_decode_error(meta, body, problem)


def repair(model: type[M], body: bytes, error: ValidationError) -> M | None:
    """The model in a body that has failed to validate, without what is wrong with it; None when that can't be left out.

    Args:
        model: what the body should be.
        body: JSON.
        error: what validating it raised.
    """
    try:
        # Python's parser takes half of a surrogate pair; pydantic's takes nothing of a body that has one.
        text = without_lone_surrogates(json.dumps(json.loads(body), ensure_ascii=False))
        try:
            return model.model_validate_json(text)
        except ValidationError as again:
            error = again.with_traceback(None)  # which leads to this frame, and so to itself
        if error.error_count() > _MOST_REPAIRS:
            return None
        content = json.loads(text)
        # From the last to the first, so that an item keeps its place in a list until it is its turn.
        for problem in reversed(error.errors(include_url=False, include_input=False, include_context=False)):
            _delete(content, problem["loc"])
        return model.model_validate(content)
    except (ValueError, RecursionError):  # ValidationError is a ValueError
        return None


def _delete(content: Any, location: tuple[int | str, ...]) -> None:
    for part in location[:-1]:
        try:
            content = content[part]
        except (LookupError, TypeError):
            return
    with suppress(LookupError, TypeError):
        del content[location[-1]]
