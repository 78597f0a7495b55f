"""`POST /images/generations` and `POST /images/edits`."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Unpack, cast

from .._call import as_model
from .._sansio.extras import CallExtras
from ..errors import InvalidInputError
from ..models.images import ImageParams, ImagesResponse
from ._resource import Resource, made_at_once, names_of, require_text
from ._route import billed_post
from ._upload import FileInput, UploadedPart

GENERATE = billed_post("images.generate", "/images/generations", as_model(ImagesResponse))
EDIT = billed_post("images.edit", "/images/edits", as_model(ImagesResponse))
_PARAMS = names_of(ImageParams)


class Images(Resource):
    """Images from a prompt. Billed image by image."""

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
        image: FileInput | Sequence[FileInput],
        mask: FileInput | None = None,
        **params: Unpack[ImageParams],
    ) -> Coroutine[Any, Any, ImagesResponse]:
        """Change images (`POST /images/edits`: answered by the gateway, not in RelayDance's documentation).

        Args:
            model: its id.
            prompt: what to change.
            image: one file or several, each as `files.upload` takes it.
            mask: where to change it.
            params: as for `generate`.

        Raises like `generate`; cancelling it leaves the same.
        """
        require_text(model, "model")
        require_text(prompt, "prompt")
        arguments, extras = CallExtras.take(params, _PARAMS)
        images = cast(Sequence[FileInput], image) if isinstance(image, list | tuple) else [cast(FileInput, image)]
        if not images:
            raise InvalidInputError("image must not be empty")
        name = "image" if len(images) == 1 else "image[]"
        files: list[UploadedPart] = [(name, item, None, None) for item in images]
        if mask is not None:
            files.append(("mask", mask, None, None))
        return self._upload(EDIT, files, {"model": model, "prompt": prompt, **arguments}, extras)
