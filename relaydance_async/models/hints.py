"""What the documentation, and programs that use the API, say of models. Hints: nothing is ever refused by them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

ModelKind: TypeAlias = Literal["video", "image", "chat"]

_ENDPOINTS: dict[str, ModelKind] = {"openai-video": "video", "image-generation": "image", "openai": "chat"}
_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9", "adaptive")
_RESOLUTION = re.compile(r"-(480p|720p|1080p|4k)(?:$|-)")
_WORDS: tuple[tuple[str, ModelKind], ...] = (
    (r"seedance|video|-t2v|-i2v|happyhorse", "video"),
    (r"image", "image"),
)
"""What the ids of the documentation have in common. The first that fits counts."""


@dataclass(frozen=True, slots=True)
class VideoHints:
    """What is said of a video model. None: nothing is said.

    Attributes:
        seconds: the shortest and the longest clip.
        ratios: values of `ratio`.
        resolutions: values of `resolution`.
        frames: whether it takes `first_frame` and `last_frame`.
        sound: whether its clips have sound: "always", "never", or "asked" with `generate_audio`.
    """

    seconds: tuple[int, int] | None = None
    ratios: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()
    frames: bool | None = None
    sound: Literal["always", "never", "asked"] | None = None


def kind_of(model: str, endpoints: list[str] | None) -> ModelKind | None:
    """What a model makes, by the gateway's own word, or else by its id; None when nobody knows."""
    told: list[ModelKind] = [_ENDPOINTS[name] for name in endpoints or () if name in _ENDPOINTS]
    if len(set(told)) == 1:
        return told[0]
    for pattern, kind in _WORDS:
        if re.search(pattern, model.lower()):
            return kind
    return "chat" if "chat" in told else None


def video_hints_of(model: str) -> VideoHints:
    """What is said of a video model with this id."""
    name = model.lower()
    resolutions = tuple(_RESOLUTION.findall(name))
    if "seedance-2-0" in name:
        return VideoHints((4, 15), _RATIOS, resolutions, frames=True, sound="asked")
    if "seedance-1-5" in name:
        sound: Literal["always", "never"] = "never" if "no-audio" in name else "always"
        return VideoHints((4, 12), _RATIOS, resolutions, frames=True, sound=sound)
    return VideoHints(resolutions=resolutions)
