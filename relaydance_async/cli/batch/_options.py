"""Options that several commands and modules share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter
from cyclopts.validators import Number

Kind: TypeAlias = Literal["video", "image", "chat"]
Format: TypeAlias = Literal["csv", "jsonl", "openai", "parquet"]
Positive = Annotated[float, Parameter(validator=Number(gt=0))]
Count = Annotated[int, Parameter(validator=Number(gte=1))]

_FLAT = Parameter(name="*")


@_FLAT
@dataclass(frozen=True, kw_only=True)
class Columns:
    """How the columns of a file become requests. OpenAI's Batch format says it all itself.

    Attributes:
        kind: what is made of each row.
        model: of rows that have no column `model`.
        prompt: a template, such as "A {animal} in {city}", with the names of columns.
        prompt_column: where the prompt is, without a template.
        id_column: what names a row for good (default: the column `id`, or else the number of the line).
        name: of the files: a template, such as "{id}-{city}".
        seconds: of clips without a column `seconds`.
        ratio: of clips without a column `ratio`, such as 16:9.
        resolution: of clips without a column `resolution`, such as 1080p.
        size: of images without a column `size`.
        system: what a chat is told first.
        max_tokens: of chats without a column `max_tokens`.
    """

    kind: Kind = "video"
    model: str | None = None
    prompt: str | None = None
    prompt_column: str = "prompt"
    id_column: str | None = None
    name: str = "{id}"
    seconds: Positive | None = None
    ratio: str | None = None
    resolution: str | None = None
    size: str | None = None
    system: str | None = None
    max_tokens: Count | None = None


@_FLAT
@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much at once, and for how much.

    Attributes:
        in_flight: rows under way at once.
        max_cost: US dollars; the run stops before it costs more.
        price: of a row, such as 0.50; or 0.10/s, for each second of a clip (default: the gateway's price list).
        task_retries: how often a clip that failed for a passing reason is submitted again.
    """

    in_flight: Count = 200
    max_cost: Positive | None = None
    price: str | None = None
    task_retries: Annotated[int, Parameter(validator=Number(gte=0))] = 2
