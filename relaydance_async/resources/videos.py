"""`POST /videos` and what follows: OpenAI's names over this gateway. Not in RelayDance's documentation; see `video`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, Unpack

from .._call import as_model
from .._sansio.extras import CallExtras
from ..models._options import CallOptions, ReadOptions
from ..models.binary import BinaryContent
from ..models.video import VideoTask
from ._files import FilePart, named_part
from ._progress import ProgressHook
from ._resource import READ_OPTIONS, Resource, made_at_once, names_of, require_text
from ._route import get, thin, thin_post
from ._views import Raw, RawView, Streamed, StreamedView
from .download import CONTENT

CREATE = thin_post("videos.create", "/videos", as_model(VideoTask))
RETRIEVE = thin(get("videos.retrieve", "/videos/{task_id}", as_model(VideoTask)))
_PARAMS = names_of(CallOptions)


class Videos(Resource):
    """Clips under OpenAI's names. The tasks are those of `video`, which can wait for them and save them."""

    @property
    def with_raw_response(self) -> VideosRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return VideosRaw(Videos(self._api))

    @property
    def with_streaming_response(self) -> VideosStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return VideosStreamed(Videos(self._api))

    @made_at_once
    def create(
        self,
        *,
        model: str,
        prompt: str,
        seconds: str | int | None = None,
        size: str | None = None,
        input_reference: FilePart | None = None,
        on_progress: ProgressHook | None = None,
        **params: Unpack[CallOptions],
    ) -> Coroutine[Any, Any, VideoTask]:
        """Submit a clip. It is billed when it succeeds.

        Args:
            model: its id.
            prompt: what to show.
            seconds: length of the clip, by model.
            size: such as "1280x720", by model.
            input_reference: an image to begin with, as `files.upload` takes it.
            on_progress: as of `files.upload`.
            params: `extra_body` and the other options of a call.

        Returns:
            The task. `status` is one of our four words, `raw_status` is OpenAI's.

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: before anything is sent.
            NotFoundError: the gateway doesn't offer it.
            APIStatusError: the gateway refused or failed.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.

        Cancelling it after the request was sent may leave something that is paid for.
        """
        require_text(model, "model")
        require_text(prompt, "prompt")
        arguments, extras = CallExtras.take(params, _PARAMS)
        length = None if seconds is None else str(seconds)
        fields = {"model": model, "prompt": prompt, "seconds": length, "size": size, **arguments}
        if input_reference is None:
            return self._post(CREATE, fields, extras)
        return self._upload(CREATE, [named_part("input_reference", input_reference)], fields, extras, on_progress)

    async def retrieve(self, video_id: str, **options: Unpack[ReadOptions]) -> VideoTask:
        """The task as it is now. Safe to repeat.

        Args:
            video_id: its id.
            options: `extra_headers`, `extra_query`, `timeout`, `deadline`.

        Raises:
            NotFoundError: there is no such task.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        return await self._get(RETRIEVE, extras, task_id=video_id)

    async def download_content(self, video_id: str, **options: Unpack[ReadOptions]) -> BinaryContent:
        """The clip's bytes, through the gateway, all in memory. It ignores ranges and may cut off after a minute, so
        `video.download` is better for large ones; `with_streaming_response` saves it as it comes.

        Args:
            video_id: its id.
            options: as for `retrieve`.

        Raises:
            NotFoundError: there is no such task.
            APIStatusError: it has not ended yet, or failed.
            ResponseTooLargeError: it is larger than `max_response_bytes`.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        return await self._get(CONTENT, extras, task_id=video_id)


class VideosRaw(RawView):
    """See `Videos.with_raw_response`."""

    create: Final = Raw(Videos.create)
    retrieve: Final = Raw(Videos.retrieve)
    download_content: Final = Raw(Videos.download_content)


class VideosStreamed(StreamedView):
    """See `Videos.with_streaming_response`."""

    create: Final = Streamed(Videos.create)
    retrieve: Final = Streamed(Videos.retrieve)
    download_content: Final = Streamed(Videos.download_content)
