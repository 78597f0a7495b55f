"""What all endpoints share: a controller, the options of their view, and how an answer is read."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel

from .._config import Options
from .._controller import Controller, Exchange, Receiver
from .._sansio.decode import decode_result
from .._sansio.request import PreparedRequest, build_post, with_query
from .._sansio.timeout import as_timeout
from ..errors import InvalidInputError

M = TypeVar("M", bound=BaseModel)


class Resource:
    """The base of every endpoint."""

    def __init__(self, controller: Controller, options: Options) -> None:
        self._controller = controller
        self._options = options

    def _call(self, request: PreparedRequest, model: type[M], options: Options | None = None) -> Awaitable[M]:
        return self._controller.execute(request, receive_model(model), options or self._options)

    def _post(
        self, path: str, arguments: Mapping[str, Any], call_options: Mapping[str, Any]
    ) -> tuple[PreparedRequest, Options]:
        """A billed POST, and the options with those of this one call worked in."""
        request = build_post(
            with_query(path, call_options.get("extra_query")), arguments, extra_body=call_options.get("extra_body")
        )
        return request, apply_call_options(self._options, call_options)


@cache
def receive_model(model: type[BaseModel]) -> Receiver[Any]:
    """Reads an answer whole and decodes it."""

    async def receive(exchange: Exchange) -> BaseModel:
        return decode_result(model, await exchange.read(), exchange.attempt.meta)

    return receive


CALL_OPTIONS = ("extra_body", "extra_headers", "extra_query", "timeout")


def split_call_options(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of the API, and the options of this one call (see `CallOptions`)."""
    body = {name: value for name, value in arguments.items() if name not in CALL_OPTIONS}
    return body, {name: arguments[name] for name in CALL_OPTIONS if arguments.get(name) is not None}


def apply_call_options(options: Options, call_options: Mapping[str, Any]) -> Options:
    """The view's options, changed for one call."""
    if "extra_headers" in call_options:
        extra = {name.lower(): value for name, value in call_options["extra_headers"].items()}
        options = replace(options, headers={**options.headers, **extra})
    if "timeout" in call_options:
        options = replace(options, timeout=as_timeout(call_options["timeout"]))
    return options


def require_text(value: object, name: str) -> None:
    """A non-empty string.

    Raises:
        InvalidInputError: when it is anything else.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{name} must be a non-empty string, not {value!r:.80}")
