"""The base of every model that arrives over the wire."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that a database and a date can hold. A larger one is kept as `raw_NAME`."""


class WireModel(BaseModel):
    """Plain data from the API. Fields that this version doesn't know are kept, in `model_extra` and as attributes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", protected_namespaces=())
