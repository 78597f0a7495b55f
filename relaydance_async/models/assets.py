"""Reference assets, which keep a face or a thing the same over many clips."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict, Field

from ._base import WireModel
from .references import AudioReference, ImageReference, VideoReference

_KINDS: dict[str, type[ImageReference | VideoReference | AudioReference]] = {
    "image": ImageReference,
    "video": VideoReference,
    "audio": AudioReference,
}


class _Late(WireModel):
    """Built when it is first used: few programs have assets, and all import this."""

    model_config: ClassVar[ConfigDict] = ConfigDict(defer_build=True)


class Asset(_Late):
    """An asset. It goes into `references` of `video.submit` once it is active.

    Attributes:
        id: of the asset.
        status: in the host's words, such as "Active".
        uri: what clips refer to it by, such as "asset://…"; None until it is told.
        asset_type: such as "Image".
    """

    id: str = Field(min_length=1)
    status: str = ""
    uri: str | None = None
    asset_type: str | None = None

    @property
    def is_active(self) -> bool:
        """Whether clips can refer to it."""
        return self.status.lower() == "active"

    @property
    def has_failed(self) -> bool:
        """Whether it was refused, for good."""
        return self.status.lower() in ("failed", "fail", "rejected")

    def as_reference(self) -> ImageReference | VideoReference | AudioReference:
        """The reference to it."""
        kind = _KINDS.get((self.asset_type or "").lower(), ImageReference)
        return kind(self.uri or f"asset://{self.id}")


class UploadPlace(_Late):
    """Where a file is to be put, and where it is then."""

    exists: bool = False
    upload_url: str | None = Field(None, repr=False)  # it is signed
    content_type: str | None = None
    source_url: str


class AssetStatus(_Late):
    """How far an asset is."""

    status: str
    uri: str | None = None
