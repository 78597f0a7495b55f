"""The routes that video has for itself."""

from __future__ import annotations

from ..._call import as_model
from ...models.video import VideoTask
from .._route import billed_post, get

SUBMIT = billed_post("video.submit", "/video/generations", as_model(VideoTask))
RETRIEVE = get("video.retrieve", "/video/generations/{task_id}", as_model(VideoTask))
