"""What holds for one command: its options, its profile, the environment; and the client that comes of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter

from .. import AsyncRelayDance
from .._config import DEFAULT_BASE_URL, origin_of
from ..errors import ConfigurationError
from ._exits import CannotBeginError
from ._key import ENVIRONMENT, FoundKey, from_environment, from_file, from_keyring
from ._output import Output
from ._profiles import DEFAULT, Form, Profile, config_folder, read_profile

MODELS = {"chat": "grok-4.3", "image": "grok-imagine-image", "video": "doubao-seedance-2-0-fast-260128"}
"""Those of RelayDance's documentation, when nobody says another."""


@dataclass(frozen=True)
class Session:
    """What was typed for all commands alike; the rest is looked up when it is needed.

    Attributes:
        chosen: the profile; None: the usual one.
        address: of the API; None: by the profile or the environment.
        form: how results are shown; None: by the profile.
    """

    chosen: str | None = None
    address: str | None = None
    form: Form | None = None

    @cached_property
    def _read(self) -> tuple[str, Profile]:
        return read_profile(self.chosen)

    @property
    def name(self) -> str:
        """Of the profile."""
        return self._read[0]

    @property
    def profile(self) -> Profile:
        """What is set."""
        return self._read[1]

    @property
    def output(self) -> Output:
        """Where results go."""
        return Output(self.form or self.profile.output or "table")

    @property
    def base_url(self) -> str:
        """What was typed, else the environment's, else the profile's. A profile that was named goes first."""
        own, around = self.profile.base_url, os.environ.get("RELAYDANCE_BASE_URL")
        first, second = (own, around) if self.chosen else (around, own)
        return self.address or first or second or DEFAULT_BASE_URL

    @cached_property
    def key(self) -> FoundKey:
        """The environment's, else the profile's; a profile that was named goes first.

        Raises:
            CannotBeginError: there is none, it must not be used, or it is kept for another address.
        """
        found = (self._stored() or from_environment()) if self.chosen else (from_environment() or self._stored())
        if found is None:
            raise CannotBeginError(f"no API key: set {ENVIRONMENT}, or keep one with `relaydance login`")
        if found.is_stored:
            self._check_address(found)
        return found

    def _stored(self) -> FoundKey | None:
        if self.profile.key == "keyring":
            return from_keyring(self.name)
        return from_file(self.key_file)

    @property
    def key_file(self) -> Path:
        """Where a key of this profile is, if it is in a file."""
        default = config_folder() / ("key" if self.name == DEFAULT else f"{self.name}.key")
        return Path(self.profile.key_file).expanduser() if self.profile.key_file else default

    def _check_address(self, found: FoundKey) -> None:
        """A key goes to the address that it is kept for."""
        kept_for, goes_to = origin_of(self.profile.base_url or DEFAULT_BASE_URL), origin_of(self.base_url)
        if kept_for != goes_to:
            raise CannotBeginError(
                f"the key in {found.source} is for {kept_for}, and this goes to {goes_to}: set {ENVIRONMENT} for that"
            )

    def model(self, kind: str, given: str | None) -> str:
        """What was typed, else what is set, else the documentation's."""
        return given or getattr(self.profile, f"{kind}_model") or MODELS[kind]

    def client(self, **options: Any) -> AsyncRelayDance:
        """A client.

        Raises:
            CannotBeginError: there is no key, or a setting is wrong.
        """
        try:
            return AsyncRelayDance(self.key.secret.reveal(), base_url=self.base_url, **options)
        except ConfigurationError as error:
            raise CannotBeginError(error.message) from None


ModelId: TypeAlias = Annotated[str | None, Parameter(alias="-m")]
Here: TypeAlias = Annotated[Session, Parameter(parse=False)]
"""The parameter of a command that gets the session."""
