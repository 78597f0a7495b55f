"""`POST /audio/speech`, `POST /audio/transcriptions`: of the gateway's software, not in RelayDance's documentation."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from functools import cached_property
from typing import Any, Final, Literal, Unpack, overload

from pydantic import RootModel

from .._call import Accept, Answer, Kept, as_bytes, as_model, as_read, as_text, recalling
from .._sansio.extras import CallExtras
from ..models.audio import SpeechParams, Transcription, TranscriptionParams
from ..models.binary import BinaryContent
from ..models.meta import ResponseMeta
from ._files import FilePart, named_part
from ._progress import ProgressHook
from ._resource import Resource, made_at_once, names_of, require_text
from ._route import thin_post
from ._views import Raw, RawView, Streamed, StreamedView

_SPEECH_PARAMS = names_of(SpeechParams)
_TRANSCRIPTION_PARAMS = names_of(TranscriptionParams)


async def _read_transcription(answer: Answer) -> Transcription | str:
    """Text formats come as text, all others as JSON."""
    is_json = answer.headers.get("content-type", "").lower().startswith("application/json")
    return await (_AS_JSON(answer) if is_json else _AS_TEXT(answer))


def _recall(kept: str, meta: ResponseMeta) -> Transcription | str:
    content = json.loads(kept)
    return content if isinstance(content, str) else _RECALLED(kept, meta)


async def _keep(found: Transcription | str, accept: Accept) -> bool:
    await accept(RootModel[str](found) if isinstance(found, str) else found)
    return False


_AS_JSON, _AS_TEXT = as_model(Transcription), as_text()
_RECALLED = recalling(Transcription)
SPEAK = thin_post("audio.speech.create", "/audio/speech", as_bytes())
TRANSCRIBE = thin_post(
    "audio.transcriptions.create",
    "/audio/transcriptions",
    as_read(_read_transcription, "Transcription", kept=Kept(_recall, _keep)),
)


class Speech(Resource):
    """Texts as sound. RelayDance documents no model for it."""

    @property
    def with_raw_response(self) -> SpeechRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return SpeechRaw(Speech(self._api))

    @property
    def with_streaming_response(self) -> SpeechStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return SpeechStreamed(Speech(self._api))

    @made_at_once
    def create(
        self, *, model: str, input: str, voice: str | None = None, **params: Unpack[SpeechParams]
    ) -> Coroutine[Any, Any, BinaryContent]:
        """Say a text. To save it as it comes:

            async with client.audio.speech.with_streaming_response.create(...) as response:
                await response.stream_to_file("speech.mp3")

        Args:
            model: its id.
            input: what to say.
            voice: of the model.
            params: `instructions`, `response_format`, `speed`; unknown ones through `extra_body`.

        Returns:
            The sound's bytes.

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: before anything is sent.
            NotFoundError: the gateway doesn't offer it.
            APIStatusError: the gateway refused or failed.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.

        Cancelling it after the request was sent may leave something that is paid for.
        """
        require_text(model, "model")
        require_text(input, "input")
        arguments, extras = CallExtras.take(params, _SPEECH_PARAMS)
        return self._post(SPEAK, {"model": model, "input": input, "voice": voice, **arguments}, extras)


class Transcriptions(Resource):
    """Sound as text. RelayDance documents no model for it."""

    @property
    def with_raw_response(self) -> TranscriptionsRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return TranscriptionsRaw(Transcriptions(self._api))

    @property
    def with_streaming_response(self) -> TranscriptionsStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return TranscriptionsStreamed(Transcriptions(self._api))

    @overload
    def create(
        self,
        *,
        model: str,
        file: FilePart,
        filename: str | None = None,
        response_format: Literal["json", "verbose_json"] | None = None,
        on_progress: ProgressHook | None = None,
        **params: Unpack[TranscriptionParams],
    ) -> Coroutine[Any, Any, Transcription]: ...

    @overload
    def create(
        self,
        *,
        model: str,
        file: FilePart,
        filename: str | None = None,
        response_format: Literal["text", "srt", "vtt"],
        on_progress: ProgressHook | None = None,
        **params: Unpack[TranscriptionParams],
    ) -> Coroutine[Any, Any, str]: ...

    @overload
    def create(
        self,
        *,
        model: str,
        file: FilePart,
        filename: str | None = None,
        response_format: str,
        on_progress: ProgressHook | None = None,
        **params: Unpack[TranscriptionParams],
    ) -> Coroutine[Any, Any, Transcription | str]: ...

    @made_at_once
    def create(
        self,
        *,
        model: str,
        file: FilePart,
        filename: str | None = None,
        response_format: str | None = None,
        on_progress: ProgressHook | None = None,
        **params: Unpack[TranscriptionParams],
    ) -> Coroutine[Any, Any, Any]:
        """Write down what is said.

        Args:
            model: its id.
            file: the sound, as `files.upload` takes it.
            filename: default: the path's or the file's own. Most models go by its ending.
            response_format: "text", "srt" and "vtt" give a text, all others a `Transcription`.
            on_progress: as of `files.upload`.
            params: `language`, `prompt`, `temperature`, …; unknown ones through `extra_body`.

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: before anything is sent.
            NotFoundError: the gateway doesn't offer it.
            APIStatusError: the gateway refused or failed.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.

        Cancelling it after the request was sent may leave something that is paid for.
        """
        require_text(model, "model")
        arguments, extras = CallExtras.take(params, _TRANSCRIPTION_PARAMS)
        fields = {"model": model, "response_format": response_format, **arguments}
        return self._upload(TRANSCRIBE, [named_part("file", file, filename)], fields, extras, on_progress)


class Audio(Resource):
    """Sound: the namespace of `speech` and `transcriptions`, as OpenAI has it."""

    @cached_property
    def speech(self) -> Speech:
        """Texts as sound."""
        return Speech(self._api)

    @cached_property
    def transcriptions(self) -> Transcriptions:
        """Sound as text."""
        return Transcriptions(self._api)


class SpeechRaw(RawView):
    """See `Speech.with_raw_response`."""

    create: Final = Raw(Speech.create)


class SpeechStreamed(StreamedView):
    """See `Speech.with_streaming_response`."""

    create: Final = Streamed(Speech.create)


class TranscriptionsRaw(RawView):
    """See `Transcriptions.with_raw_response`."""

    create: Final = Raw(Transcriptions.create)


class TranscriptionsStreamed(StreamedView):
    """See `Transcriptions.with_streaming_response`."""

    create: Final = Streamed(Transcriptions.create)
