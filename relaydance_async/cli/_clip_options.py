"""What a clip is to be: the options that `video generate` and `video submit` share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from .. import AsyncRelayDance, FirstFrame, LastFrame
from ..models._lenient import is_object
from ._exits import CannotBeginError
from ._files import digests_of, uploaded
from ._journal import Paid
from ._session import ModelId

Positive = Annotated[float, Parameter(validator=Number(gt=0))]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Clip:
    """What a clip is to be.

    Attributes:
        model: the id of the model (default: that of the profile).
        seconds: the length of the clip; some models make up to 15 seconds.
        ratio: such as 16:9.
        resolution: such as 1080p.
        audio: make it with sound, or without.
        reference: a picture, a video or a sound to refer to: a file or a URL. May be repeated.
        first_frame: a picture that it begins with: a file or a URL.
        last_frame: a picture that it ends with: a file or a URL.
        metadata: more of the API's fields, as a JSON object.
    """

    model: ModelId = None
    seconds: Positive | None = None
    ratio: str | None = None
    resolution: str | None = None
    audio: Annotated[bool | None, Parameter(negative="--no-audio")] = None
    reference: tuple[str, ...] = ()
    first_frame: str | None = None
    last_frame: str | None = None
    metadata: str | None = None

    def check(self) -> None:
        """Before anything is paid for.

        Raises:
            CannotBeginError: the metadata is no JSON object.
        """
        _object(self.metadata)

    def typed(self) -> dict[str, Any]:
        """All that makes it another clip."""
        files = [name for name in (*self.reference, self.first_frame, self.last_frame) if name]
        return {**vars(self), "files": digests_of(files)}

    async def arguments(self, client: AsyncRelayDance, paid: Paid) -> dict[str, Any]:
        """Of the client's method. Local files are uploaded."""
        references: list[Any] = [await uploaded(client, name, paid.journal) for name in self.reference]
        for name, role in ((self.first_frame, FirstFrame), (self.last_frame, LastFrame)):
            if name is not None:
                references.append(role(await uploaded(client, name, paid.journal)))
        given = {
            "seconds": self.seconds,
            "ratio": self.ratio,
            "resolution": self.resolution,
            "generate_audio": self.audio,
            "references": references or None,
            "metadata": _object(self.metadata),
            "idempotency_key": paid.key,
        }
        return {name: value for name, value in given.items() if value is not None}


def _object(text: str | None) -> Mapping[str, Any] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not is_object(found):
        raise CannotBeginError(f"--metadata takes a JSON object, such as '{{\"seed\": 7}}', not {text!r}")
    return found
