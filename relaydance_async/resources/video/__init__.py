"""Clips: `POST /video/generations`, `GET /video/generations/{task_id}`, and the clip.

Each file is one idea:

    params     the keywords
    materials  what a clip is made after, as callers name it
    draft      a submit with files and other clips, which come first
    submit     asking for a clip
    hooks      those who want to hear how a task comes on
    polls      one wait
    wait       waits, for one task and for many
    watch      many who watch one task
    save       the clip
    generate   all of it
    cost       what it costs
"""

from __future__ import annotations

from typing import Final

from .._views import Raw, RawView, Streamed, StreamedView
from .cost import Costing
from .generate import Generating
from .hooks import PercentHook, SubmitHook, UpdateHook
from .materials import Frame, Material
from .params import SubmitParams, VideoParams
from .routes import RETRIEVE, SUBMIT
from .tasks import TaskOrId
from .wait import Waiting
from .watch import Watching

__all__ = [
    "RETRIEVE",
    "SUBMIT",
    "Frame",
    "Material",
    "PercentHook",
    "SubmitHook",
    "SubmitParams",
    "TaskOrId",
    "UpdateHook",
    "Video",
    "VideoParams",
]


class Video(Generating, Waiting, Watching, Costing):
    """Clips. Each is a task: submitted, waited for, downloaded."""

    @property
    def with_raw_response(self) -> VideoRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return VideoRaw(Video(self._api))

    @property
    def with_streaming_response(self) -> VideoStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return VideoStreamed(Video(self._api))


class VideoRaw(RawView):
    """See `Video.with_raw_response`."""

    submit: Final = Raw(Video.submit)
    retrieve: Final = Raw(Video.retrieve)


class VideoStreamed(StreamedView):
    """See `Video.with_streaming_response`."""

    submit: Final = Streamed(Video.submit)
    retrieve: Final = Streamed(Video.retrieve)
