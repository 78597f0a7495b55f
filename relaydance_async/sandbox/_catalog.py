"""The models on offer and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ._accounts import to_units

Kind = Literal["video", "image", "chat"]

MODELS: Mapping[str, Kind] = {
    "doubao-seedance-2-0-720p": "video",
    "doubao-seedance-2-0-1080p": "video",
    "doubao-seedance-2-0-fast-260128": "video",
    "seedance-1-5-pro-with-audio": "video",
    "seedance-1-5-pro-no-audio": "video",
    "grok-imagine-video": "video",
    "happyhorse-1.0-t2v": "video",
    "grok-imagine-image": "image",
    "grok-imagine-image-quality": "image",
    "gpt-image-2": "image",
    "grok-4.3": "chat",
}

ENDPOINT_TYPES: Mapping[Kind, str] = {"video": "openai-video", "image": "image-generation", "chat": "openai"}

CLIP_UNITS = to_units(0.50)
IMAGE_UNITS = to_units(0.02)
TOKEN_UNITS = 1
"""Per chat token, in or out: 2 US dollars a million."""
