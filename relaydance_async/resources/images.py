"""`POST /images/generations`, `POST /images/edits`, and the images."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Unpack, cast

from .._call import as_model
from .._sansio.extras import CallExtras
from ..errors import DownloadError, InvalidInputError
from ..models._options import RequestOptions
from ..models.images import Image, ImageParams, ImagesResponse
from ._files import FilePart, UploadedPart, is_named, named_part
from ._progress import ProgressHook
from ._resource import Resource, apply, made_at_once, names_of, require_text
from ._route import billed_post
from ._views import Raw, RawView, Streamed, StreamedView
from .download import (
    DEFAULT_MEMORY_BYTES,
    Result,
    ResultSource,
    SaveSettings,
    check_place,
    check_size,
    download,
    write_whole,
)

GENERATE = billed_post("images.generate", "/images/generations", as_model(ImagesResponse))
EDIT = billed_post("images.edit", "/images/edits", as_model(ImagesResponse))
_PARAMS = names_of(ImageParams)
_SAVE_OPTIONS = names_of(RequestOptions) | names_of(SaveSettings)  # so that a typing error is told what was meant


class Images(Resource):
    """Images from a prompt. Billed image by image."""

    @property
    def with_raw_response(self) -> ImagesRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return ImagesRaw(Images(self._api))

    @property
    def with_streaming_response(self) -> ImagesStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return ImagesStreamed(Images(self._api))

    @made_at_once
    def generate(
        self, *, model: str, prompt: str, **params: Unpack[ImageParams]
    ) -> Coroutine[Any, Any, ImagesResponse]:
        """Make images.

        Args:
            model: its id.
            prompt: what to show.
            params: `n`, `size`, `response_format`, `quality`, `aspect_ratio` and what else OpenAI's method takes;
                unknown ones through `extra_body`.

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: before anything is sent.
            APIStatusError: the gateway refused or failed.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.

        Cancelling it after the request was sent may leave images that are paid for.
        """
        require_text(model, "model")
        require_text(prompt, "prompt")
        arguments, extras = CallExtras.take(params, _PARAMS)
        return self._post(GENERATE, {"model": model, "prompt": prompt, **arguments}, extras)

    @made_at_once
    def edit(
        self,
        *,
        model: str,
        prompt: str,
        image: FilePart | Sequence[FilePart],
        mask: FilePart | None = None,
        on_progress: ProgressHook | None = None,
        **params: Unpack[ImageParams],
    ) -> Coroutine[Any, Any, ImagesResponse]:
        """Change images (`POST /images/edits`: answered by the gateway, not in RelayDance's documentation).

        Args:
            model: its id.
            prompt: what to change.
            image: one file or several, each as `files.upload` takes it.
            mask: where to change it.
            on_progress: as of `files.upload`.
            params: as for `generate`.

        Raises like `generate`; cancelling it leaves the same.
        """
        require_text(model, "model")
        require_text(prompt, "prompt")
        arguments, extras = CallExtras.take(params, _PARAMS)
        several = isinstance(image, list | tuple) and not is_named(image)
        images = cast(Sequence[FilePart], image) if several else [cast(FilePart, image)]
        if not images:
            raise InvalidInputError("image must not be empty")
        name = "image" if len(images) == 1 else "image[]"
        files: list[UploadedPart] = [named_part(name, item) for item in images]
        if mask is not None:
            files.append(named_part("mask", mask))
        return self._upload(EDIT, files, {"model": model, "prompt": prompt, **arguments}, extras, on_progress)

    async def save(
        self,
        image: Image,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = True,
        max_bytes: int = DEFAULT_MEMORY_BYTES,
        allow_private_hosts: bool = False,
        on_progress: ProgressHook | None = None,
        **options: Unpack[RequestOptions],
    ) -> Path:
        """Save an image: its `b64_json`, or else what is at its `url`, which doesn't get the key.

        It is written to `<path>.….part` and renamed at the end: under its final name there is only a whole image. What
        comes from a URL is treated as a clip is (`video.download`), but there is no fresh URL when it has expired.

        Args:
            image: of an `ImagesResponse`.
            path: of the file. A directory is refused, for an image has no name.
            overwrite: whether a file at `path` is replaced. If not, it is an error, before anything is asked for.
            max_bytes: stop above that size (default: 256 MiB).
            allow_private_hosts: also from addresses that aren't public.
            on_progress: as of `video.download`. Not called for `b64_json`: its bytes are here already.
            options: `timeout` of each I/O phase. `extra_headers` and `extra_query` are for the API, which isn't asked:
                the image's host never gets them.

        Returns:
            The path of the file.

        Raises:
            InvalidInputError: it is no image, it has neither, or no file can have that name.
            DownloadError: it could not be fetched or written whole, is too large or no base64, its URL is not to be
                trusted, or nothing may be written to `path`; `kind` says which.

        Cancelling it leaves no file, or the whole one; of a URL's image also a part, from which a later call goes on.
        """
        _, extras = CallExtras.take(options, _SAVE_OPTIONS)
        if not isinstance(image, Image):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"image must be one of an ImagesResponse, not {type(image).__name__}")
        settings = SaveSettings(overwrite, max_bytes, allow_private_hosts, on_progress)
        limits = settings.limits()
        part = settings.part(path, _name_of(image), suffix=None)
        await check_place(part, None)
        if image.b64_json:
            return await write_whole(part, partial(_decode, image.b64_json, settings.max_bytes))
        if not image.url:
            raise InvalidInputError("the image has neither a url nor b64_json")
        base_url = self._api.base_url
        source = ResultSource.of_image(image.url, base_url, settings.policy(base_url))
        return await download(apply(CallExtras(timeout=extras.timeout), self._api), Result(source), part, limits)


class ImagesRaw(RawView):
    """See `Images.with_raw_response`."""

    generate: Final = Raw(Images.generate)
    edit: Final = Raw(Images.edit)


class ImagesStreamed(StreamedView):
    """See `Images.with_streaming_response`."""

    generate: Final = Streamed(Images.generate)
    edit: Final = Streamed(Images.edit)


def _name_of(image: Image) -> str:
    """What tells the part of one image from that of another. A fresh signature of its URL makes no other image."""
    place = (image.url or "").partition("?")[0]
    return hashlib.sha256(place.encode("utf-8", "replace")).hexdigest()[:16]


def _decode(text: str, max_bytes: int) -> bytes:
    check_size(len(text) // 4 * 3 - text.count("=", -2), max_bytes)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise DownloadError("the image's b64_json is no base64", kind="broken") from None
