"""The keywords of the methods, beside those that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...models._options import BodyOptions, ReadOptions, RequestOptions
from .._resource import names_of
from .materials import Frame, Material


class VideoParams(BodyOptions, total=False):
    """What `submit` and `generate` take beside `model` and `prompt`; see `Video.submit`."""

    seconds: int | float | str | None
    ratio: str | None
    resolution: str | None
    generate_audio: bool | None
    callback_url: str | None
    references: Sequence[Material]
    first_frame: Frame | None
    last_frame: Frame | None
    return_last_frame: bool | None
    metadata: Mapping[str, Any]


class SubmitParams(VideoParams, ReadOptions, total=False):
    """What `submit` takes. (`generate` has a `deadline` of its own, which is another.)"""


SUBMIT_PARAMS = names_of(SubmitParams)
VIDEO_PARAMS = names_of(VideoParams)
REQUEST_OPTIONS = names_of(RequestOptions)
