"""A successful answer's bytes into a model."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import RelayDanceError
from ..models.meta import ResponseMeta
from .envelope import build_decode_error, build_status_error, parse_envelope, parse_object
from .lenient import fit, parse_lenient

M = TypeVar("M", bound=BaseModel)

_MOST_REPAIRS = 10_000
"""An answer with more wrong fields than this has another shape altogether."""
_MOST_ROUNDS = 20
"""More than the models are deep, twice: what can't be converted is put aside, and then found missing."""


def decode_result(model: type[M], body: bytes, meta: Callable[[], ResponseMeta]) -> M:
    """The model in an answer of status 2xx.

    A field of the wrong type is converted, or kept as `raw_NAME` when that can't be, and half of a surrogate pair is
    replaced, rather than losing the answer, which may be paid for.

    Args:
        model: what the body should be.
        body: JSON, decompressed.
        meta: asked only for an error.

    Raises:
        APIStatusError: the body is an error all the same (some upstreams' errors are relayed with HTTP 200).
        ResponseDecodeError: it is neither.
    """
    try:
        result: M | None = model.model_validate_json(body)
    except ValidationError:
        result = None  # looked at below: as its context, this would tie an error to all frames of the call
    if result is None:
        return _second_look(model, body, meta)
    extra = result.__pydantic_extra__
    if extra.get("error") if extra is not None else "error" not in model.model_fields and reports_error(body):
        raise build_error_in(body, meta(), "the answer reports an error")
    return result


def _second_look(model: type[M], body: bytes, meta: Callable[[], ResponseMeta]) -> M:
    if parse_envelope(body) is None:
        repaired = repair(model, body)
        if repaired is not None:
            return repaired
    raise build_error_in(body, meta(), f"the answer has not the shape of a {model.__name__}")


_RESULTS = frozenset({"id", "object", "data", "choices", "task_id"})
"""What only a result has; one may tell of an error, as a failed task does."""


def reports_error(body: bytes) -> bool:
    """Whether a body of status 2xx, of which no model is known, is an error and no result."""
    if b'"error"' not in body and b'"success"' not in body:
        return False
    content = parse_object(body)
    return content.get("success") is False or (bool(content.get("error")) and _RESULTS.isdisjoint(content))


def build_error_in(body: bytes, meta: ResponseMeta, problem: str) -> RelayDanceError:
    """The error that an answer of status 2xx holds, or else the one that it is."""
    envelope = parse_envelope(body)
    if envelope is not None:
        return build_status_error(meta, envelope, body=body)
    return build_decode_error(meta, body, problem)


def repair(model: type[M], body: bytes, *, absent: Collection[str] = ()) -> M | None:
    """The model in a body that has failed to validate, with what is wrong in it converted or put aside (see `lenient`).
    None when what the model needs can't be had.

    Args:
        model: what the body should be.
        body: JSON.
        absent: lists that may be missing.
    """
    try:
        content = parse_lenient(body)
        for _ in range(_MOST_ROUNDS):
            try:
                return model.model_validate(content)
            except ValidationError as error:
                if error.error_count() > _MOST_REPAIRS:
                    return None
                problems = error.errors(include_url=False, include_input=False, include_context=False)
            content = fit(content, reversed(problems), absent)
    except (ValueError, RecursionError):
        pass
    return None
