"""`POST /images/generations` and `POST /images/edits`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack, cast

from .._sansio.request import with_query
from ..errors import InvalidInputError
from ..models.images import ImageParams, ImagesResponse
from ._resource import Resource, apply_call_options, require_text, split_call_options
from ._upload import FileInput, open_upload


class Images(Resource):
    """Images from a prompt. Billed image by image."""

    async def generate(self, *, model: str, prompt: str, **params: Unpack[ImageParams]) -> ImagesResponse:
        """Make images.

        Args:
            model: its id.
            prompt: what to show.
            params: `n`, `size`, `response_format`, `quality`, `aspect_ratio` and what else OpenAI's method takes;
                unknown ones through `extra_body`.

        Raises:
            InvalidInputError: before anything is sent.
            APIStatusError: the gateway refused or failed.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.

        Cancelling it after the request was sent may leave images that are paid for.
        """
        require_text(model, "model")
        require_text(prompt, "prompt")
        body, call_options = split_call_options(params)
        request, options = self._post("/images/generations", {"model": model, "prompt": prompt, **body}, call_options)
        return await self._call(request, ImagesResponse, options)

    async def edit(
        self,
        *,
        model: str,
        prompt: str,
        image: FileInput | Sequence[FileInput],
        mask: FileInput | None = None,
        **params: Unpack[ImageParams],
    ) -> ImagesResponse:
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
        body, call_options = split_call_options(params)
        images = cast(Sequence[FileInput], image) if isinstance(image, list | tuple) else [cast(FileInput, image)]
        if not images:
            raise InvalidInputError("image must not be empty")
        name = "image" if len(images) == 1 else "image[]"
        files: list[tuple[str, FileInput, str | None, str | None]] = [(name, item, None, None) for item in images]
        if mask is not None:
            files.append(("mask", mask, None, None))
        fields = {"model": model, "prompt": prompt, **body, **call_options.get("extra_body", {})}
        path = with_query("/images/edits", call_options.get("extra_query"))
        async with open_upload(path, files, fields) as request:
            return await self._call(request, ImagesResponse, apply_call_options(self._options, call_options))
