"""Images."""

from __future__ import annotations

from base64 import b64decode

from pydantic import field_validator

from ._base import Whole, WireModel
from ._options import CallOptions
from ._shown import escaped, image_source


class Image(WireModel):
    """One image: a `url`, or its bytes as `b64_json`.

    Attributes:
        url: of the image, for a limited time: save it at once with `images.save`.
        b64_json: its bytes in base64, if `response_format="b64_json"` was asked for.
        revised_prompt: what the model made of the prompt, where it tells.
    """

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None

    @field_validator("url", "b64_json", "revised_prompt")
    @classmethod
    def _absent(cls, value: str | None) -> str | None:
        # The gateway sends "" for what isn't there.
        return value or None

    def _repr_html_(self) -> str:
        """For a notebook: the image."""
        return self.as_html()

    def as_html(self) -> str:
        """The image, for a page; what came from outside is escaped."""
        source = image_source(self.url, self.b64_json)
        said = f' title="{escaped(self.revised_prompt)}"' if self.revised_prompt else ""
        return f'<img src="{escaped(source)}" width="256"{said}>' if source else f"<code>{escaped(repr(self))}</code>"

    def content(self) -> bytes | None:
        """The decoded `b64_json`, or None when the image came as a URL.

        Raises:
            ValueError: it is no base64, as far as its length and padding tell.
        """
        return b64decode(self.b64_json) if self.b64_json else None


class ImagesResponse(WireModel):
    """The answer of `images.generate` and `images.edit`.

    Attributes:
        created: when, in seconds since 1970.
        data: the images.
    """

    created: Whole | None = None
    data: list[Image]

    def _repr_html_(self) -> str:
        """For a notebook: the images, side by side."""
        return " ".join(image.as_html() for image in self.data)


class ImageParams(CallOptions, total=False):
    """What the image methods take beside `model` and `prompt` (OpenAI's names, and `aspect_ratio`)."""

    aspect_ratio: str | None
    background: str | None
    moderation: str | None
    n: int | None
    output_compression: int | None
    output_format: str | None
    quality: str | None
    response_format: str | None
    size: str | None
    style: str | None
    user: str | None
