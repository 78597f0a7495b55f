"""A successful answer's bytes into a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import RelayDanceError
from ..models.meta import ResponseMeta
from .envelope import build_decode_error, build_status_error, parse_envelope

M = TypeVar("M", bound=BaseModel)


def decode_result(model: type[M], body: bytes, meta: Callable[[], ResponseMeta]) -> M:
    """The model in an answer of status 2xx.

    An optional field of the wrong type is dropped rather than losing the answer, which may be paid for.

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
        repaired = _without_bad_fields(model, body, error)
        if repaired is not None:
            return repaired
    raise build_error_in(body, meta(), f"the answer has not the shape of a {model.__name__}") from None


def build_error_in(body: bytes, meta: ResponseMeta, problem: str) -> RelayDanceError:
    """The error that an answer of status 2xx holds, or else the one that it is."""
    envelope = parse_envelope(body)
    if envelope is not None:
        return build_status_error(meta, envelope)
    return build_decode_error(meta, body, problem)


def _without_bad_fields(model: type[M], body: bytes, error: ValidationError) -> M | None:
    try:
        content = json.loads(body)
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
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
