"""What a clip is made after: images, videos and sounds, and the frames that it begins and ends with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class AnyReference:
    """The base of all of them."""

    kind: ClassVar[str] = ""
    role: ClassVar[str] = ""
    limit: ClassVar[int] = 0
    """How many of the role a request may have (API documentation)."""

    url: str | os.PathLike[str] | bytes | BinaryIO
    """Text is a URL, and never read as a file; a `Path`, bytes or a binary file is uploaded."""

    def content_item(self) -> dict[str, Any]:
        """The item of `metadata.content`."""
        return {"type": self.kind, self.kind: {"url": self.url}, "role": self.role}


@dataclass(frozen=True, slots=True)
class ImageReference(AnyReference):
    """An image that the prompt can cite as `@image1`, `@image2`, … in the order given. At most 9."""

    kind: ClassVar[str] = "image_url"
    role: ClassVar[str] = "reference_image"
    limit: ClassVar[int] = 9


@dataclass(frozen=True, slots=True)
class VideoReference(AnyReference):
    """A video to follow. At most 3."""

    kind: ClassVar[str] = "video_url"
    role: ClassVar[str] = "reference_video"
    limit: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class AudioReference(AnyReference):
    """A sound to follow. At most 3."""

    kind: ClassVar[str] = "audio_url"
    role: ClassVar[str] = "reference_audio"
    limit: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class FirstFrame(AnyReference):
    """The image that the clip begins with. Excludes reference images."""

    kind: ClassVar[str] = "image_url"
    role: ClassVar[str] = "first_frame"
    limit: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class LastFrame(AnyReference):
    """The image that the clip ends with. Excludes reference images."""

    kind: ClassVar[str] = "image_url"
    role: ClassVar[str] = "last_frame"
    limit: ClassVar[int] = 1


Reference = ImageReference | VideoReference | AudioReference | FirstFrame | LastFrame
_REFERENCES = (ImageReference, VideoReference, AudioReference, FirstFrame, LastFrame)
LIMITS = {kind.role: kind.limit for kind in _REFERENCES}

_SUFFIXES: dict[type[VideoReference | AudioReference], tuple[str, ...]] = {
    VideoReference: (".mp4", ".mov", ".webm", ".mkv", ".m4v", ".avi"),
    AudioReference: (".mp3", ".wav", ".m4a", ".aac", ".ogg", ".flac"),
}


def as_reference(value: object) -> object:
    """What may go to the API. A plain URL is an image, unless its path ends like a video's or a sound's."""
    if isinstance(value, AnyReference):
        _check_url(value.url)
        return value
    if not isinstance(value, str):
        raise ValueError(
            "a reference is a URL, or an ImageReference, VideoReference, AudioReference, FirstFrame, LastFrame"
        )
    _check_url(value)
    return kind_of_url(value)(value)


def kind_of_url(url: str) -> type[ImageReference | VideoReference | AudioReference]:
    """What a URL leads to, by the ending of its path."""
    path = urlsplit(url).path.lower()
    for kind, suffixes in _SUFFIXES.items():
        if path.endswith(suffixes):
            return kind
    return ImageReference


def _check_url(url: object) -> None:
    # A scheme of one letter is a Windows drive.
    if not isinstance(url, str) or len(urlsplit(url).scheme) < 2 or url != url.strip():
        raise ValueError(f"{url!r:.80} is not a URL; upload a local file first: file = await client.files.upload(path)")
