"""`POST /files`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, Unpack

from .._sansio.extras import CallExtras
from ..models._options import CallOptions
from ..models.files import UploadedFile
from ._files import FilePart, named_part
from ._progress import ProgressHook
from ._resource import Resource, made_at_once, names_of
from ._uploads import UPLOAD
from ._views import Raw, RawView, Streamed, StreamedView

_PARAMS = names_of(CallOptions)


class Files(Resource):
    """Files for videos to refer to."""

    @property
    def with_raw_response(self) -> FilesRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return FilesRaw(Files(self._api))

    @property
    def with_streaming_response(self) -> FilesStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return FilesStreamed(Files(self._api))

    @made_at_once
    def upload(
        self,
        file: FilePart,
        *,
        filename: str | None = None,
        media_type: str | None = None,
        on_progress: ProgressHook | None = None,
        **params: Unpack[CallOptions],
    ) -> Coroutine[Any, Any, UploadedFile]:
        """Upload a file; its `url` goes into `references` of `video.submit`.

        Args:
            file: a path, bytes, a binary file or an asynchronous iterator of bytes; or a tuple of its name, itself and
                its media type. It is sent as it is read, 2 MiB at a time. A binary file is read from where it stands,
                in a thread, and left open. A pipe that gives nothing for the `write` timeout ends the upload.
            filename: default: the path's or the file's own.
            media_type: default: by the ending of the name.
            on_progress: called with the bytes handed over so far, and with all of them, or None when that is not known.
                They are the form's, which is some hundred bytes larger than the file. A repeated request begins at 0.
                What it raises ends the upload, unchanged.
            params: `extra_body` (more fields of the form), `extra_headers`, `extra_query`, `timeout`, `deadline`.

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: nothing there, empty, or not bytes; before anything is sent where that can be known. Also
                a file that shrinks or grows while it is sent: the request was not whole then, and not accepted.
            RequestTooLargeError: more than the gateway takes (128 MB by default).
            APIConnectionError: no answer. Iterators and pipes can be read only once, so such uploads are not repeated.

        Cancelling it closes the connection; the gateway may or may not have stored the file. A thread that waits for a
        pipe is left behind; it takes the next bytes that the pipe gives.
        """
        _, extras = CallExtras.take(params, _PARAMS)
        return self._upload(UPLOAD, [named_part("file", file, filename, media_type)], {}, extras, on_progress)

    @made_at_once
    def create(
        self, *, file: FilePart, purpose: str | None = None, **params: Unpack[CallOptions]
    ) -> Coroutine[Any, Any, UploadedFile]:
        """The same as `upload`, under OpenAI's name.

        Args:
            file: as for `upload`.
            purpose: a field of the form, as OpenAI has it. RelayDance doesn't ask for it.
            params: as for `upload`.

        Raises:
            TypeError, InvalidInputError, RequestTooLargeError, APIConnectionError: as `upload`.
        """
        if purpose is not None:
            params["extra_body"] = {"purpose": purpose, **(params.get("extra_body") or {})}
        return self.upload(file, **params)


class FilesRaw(RawView):
    """See `Files.with_raw_response`."""

    upload: Final = Raw(Files.upload)


class FilesStreamed(StreamedView):
    """See `Files.with_streaming_response`."""

    upload: Final = Streamed(Files.upload)
