"""What type checkers know of the arguments of `client.request` and the verbs, which say what each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypedDict

from pydantic import SecretStr

from .._sansio.timeout import TimeoutTypes
from ..models._options import NotGiven
from ._files import Files

Query: TypeAlias = Mapping[str, str | float | bool | Sequence[str | float | bool] | None]


class AskOptions(TypedDict, total=False):
    """Of a GET, and of all others."""

    api_key: str | SecretStr | NotGiven | None
    query: Query | None
    headers: Mapping[str, str] | None
    timeout: TimeoutTypes | NotGiven | None
    deadline: float | NotGiven | None


class SendOptions(AskOptions, total=False):
    """Of a DELETE."""

    body: object


class PutOptions(SendOptions, total=False):
    """Of a PUT."""

    files: Files | None
    billed: bool


class PostOptions(PutOptions, total=False):
    """Of a POST."""

    idempotency_key: str | None


class RequestedOptions(SendOptions, total=False):
    """Of any method."""

    files: Files | None
    billed: bool | None
    idempotency_key: str | None
