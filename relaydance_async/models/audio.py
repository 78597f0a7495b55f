"""Speech and transcriptions: OpenAI's shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._base import WireModel
from ._options import CallOptions


class SpeechParams(CallOptions, total=False):
    """What `audio.speech.create` takes beside `model`, `input` and `voice` (OpenAI's names)."""

    instructions: str | None
    response_format: str | None
    speed: float | None


class Transcription(WireModel):
    """The answer of `audio.transcriptions.create`. What "verbose_json" adds, such as `segments`, is kept too."""

    text: str
    language: str | None = None
    duration: float | None = None
    segments: list[dict[str, Any]] | None = None
    words: list[dict[str, Any]] | None = None


class TranscriptionParams(CallOptions, total=False):
    """What `audio.transcriptions.create` takes beside `model` and `file` (OpenAI's names)."""

    chunking_strategy: str | None
    include: Sequence[str] | None
    language: str | None
    prompt: str | None
    temperature: float | None
