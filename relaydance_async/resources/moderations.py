"""`POST /moderations`: answered by the gateway's software, not in RelayDance's documentation."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, Unpack

from .._call import as_model
from .._sansio.extras import CallExtras
from ..models.moderations import ModerationParams, ModerationsResponse
from ._resource import Resource, made_at_once, names_of
from ._route import thin_post
from ._views import Raw, RawView, Streamed, StreamedView

CREATE = thin_post("moderations.create", "/moderations", as_model(ModerationsResponse))
_PARAMS = names_of(ModerationParams)


class Moderations(Resource):
    """Whether texts or images are fit to be shown. RelayDance documents no model for it."""

    @property
    def with_raw_response(self) -> ModerationsRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return ModerationsRaw(Moderations(self._api))

    @property
    def with_streaming_response(self) -> ModerationsStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return ModerationsStreamed(Moderations(self._api))

    @made_at_once
    def create(
        self, *, input: str | Sequence[str] | Sequence[Mapping[str, Any]], **params: Unpack[ModerationParams]
    ) -> Coroutine[Any, Any, ModerationsResponse]:
        """Look at a text, or several.

        Args:
            input: a text, a list of them, or parts as of a chat's message.
            params: `model`; unknown ones through `extra_body`.

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: before anything is sent.
            NotFoundError: the gateway doesn't offer it.
            APIStatusError: the gateway refused or failed.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.

        Cancelling it after the request was sent may leave something that is paid for.
        """
        arguments, extras = CallExtras.take(params, _PARAMS)
        return self._post(CREATE, {"input": input, **arguments}, extras)


class ModerationsRaw(RawView):
    """See `Moderations.with_raw_response`."""

    create: Final = Raw(Moderations.create)


class ModerationsStreamed(StreamedView):
    """See `Moderations.with_streaming_response`."""

    create: Final = Streamed(Moderations.create)
