"""The base of every model that arrives over the wire."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class WireModel(BaseModel):
    """Plain data from the API. Fields that this version doesn't know are kept, in `model_extra` and as attributes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", protected_namespaces=())
