"""`POST /files`."""

from __future__ import annotations

from ..models.files import UploadedFile
from ._resource import Resource
from ._upload import FileInput, open_upload


class Files(Resource):
    """Files for videos to refer to."""

    async def upload(
        self, file: FileInput, *, filename: str | None = None, media_type: str | None = None
    ) -> UploadedFile:
        """Upload a file; its `url` goes into `references` of `video.submit`.

        Args:
            file: a path, bytes, a binary file or an asynchronous iterator of bytes. It is sent as it is read, 1 MiB at
                a time. A binary file is read from where it stands, in a thread, and left open.
            filename: default: the path's or the file's own.
            media_type: default: by the ending of the name.

        Raises:
            InvalidInputError: nothing there, empty, or not bytes; before anything is sent where that can be known.
            RequestTooLargeError: more than the gateway takes (128 MB by default).
            APIConnectionError: no answer. Iterators and pipes can be read only once, so such uploads are not repeated.

        Cancelling it closes the connection; the gateway may or may not have stored the file.
        """
        async with open_upload("/files", [("file", file, filename, media_type)]) as request:
            return await self._call(request, UploadedFile)
