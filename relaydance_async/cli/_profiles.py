"""`~/.config/relaydance/config.toml`: defaults, and profiles that differ from them. It never holds a key.

video_model = "grok-imagine-video"

[profiles.work]
base_url = "https://relaydance.com/v1"
key = "keyring"
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from ..models._lenient import is_object
from ._exits import CannotBeginError
from ._owner import is_of_another, others_may

Form: TypeAlias = Literal["table", "json", "jsonl"]
DEFAULT = "default"


@dataclass(frozen=True)
class Profile:
    """What is set for one profile; None: nothing.

    Attributes:
        base_url: of the API.
        key: "keyring": the key is there.
        key_file: or in this file.
        output: how results are shown.
        journal: the file that remembers what was paid for; "off": none.
        chat_model, image_model, video_model: when none is said.
    """

    base_url: str | None = None
    key: str | None = None
    key_file: str | None = None
    output: Form | None = None
    journal: str | None = None
    chat_model: str | None = None
    image_model: str | None = None
    video_model: str | None = None


_NAMES = [field.name for field in fields(Profile)]


def config_folder() -> Path:
    """By the XDG Base Directory Specification."""
    return _base("XDG_CONFIG_HOME", ".config") / "relaydance"


def state_folder() -> Path:
    """The same for what is to outlast a restart, and isn't for people to edit."""
    return _base("XDG_STATE_HOME", ".local/state") / "relaydance"


def _base(variable: str, fallback: str) -> Path:
    named = os.environ.get(variable, "")
    # A path that isn't absolute is to be ignored (XDG).
    return Path(named) if named and Path(named).is_absolute() else Path.home() / fallback


def read_profile(name: str | None) -> tuple[str, Profile]:
    """A profile by its name; without one RELAYDANCE_PROFILE, else the one that the file names, else "default".

    Raises:
        CannotBeginError: the file is wrong, or there is no such profile.
    """
    path = config_folder() / "config.toml"
    content = _read(path)
    profiles = _tables(content.pop("profiles", {}), path)
    chosen = name or os.environ.get("RELAYDANCE_PROFILE") or content.pop("profile", DEFAULT)
    content.pop("profile", None)
    if chosen != DEFAULT and chosen not in profiles:
        known = ", ".join(dict.fromkeys([DEFAULT, *profiles]))
        raise CannotBeginError(f"there is no profile {chosen!r} in {path}; there is {known}")
    return chosen, _build({**_checked(content, path), **_checked(profiles.get(chosen, {}), path)})


def _tables(profiles: Any, path: Path) -> Mapping[str, Mapping[str, Any]]:
    if is_object(profiles) and all(is_object(one) for one in profiles.values()):
        return profiles
    raise CannotBeginError(f"{path}: a profile is a table, such as [profiles.work]")


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            _check_owner(os.fstat(file.fileno()), path)
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CannotBeginError(f"{path} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CannotBeginError(f"{path} is no TOML: {error}") from None


def _check_owner(found: os.stat_result, path: Path) -> None:
    """As ssh does of its own: the file says where the key goes."""
    if others_may(found, 0o022):
        raise CannotBeginError(f"others can write {path}: chmod go-w {path}")
    if is_of_another(found):
        raise CannotBeginError(f"{path} belongs to another user, who could send your key elsewhere: make it yours")


def _checked(content: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    for name, value in content.items():
        if name in ("api_key", "token") or (name == "key" and value != "keyring"):
            raise CannotBeginError(
                f'{path} must not hold the key: use key_file = "…" (mode 600), key = "keyring", or the environment'
            )
        if name not in _NAMES:
            close = get_close_matches(name, _NAMES, 1)
            raise CannotBeginError(f"{path}: nothing is called {name!r}; {_perhaps(close)}")
        if not isinstance(value, str) or not value:
            raise CannotBeginError(f'{path}: {name} must be text, such as {name} = "…"')
    return content


def _perhaps(close: list[str]) -> str:
    return f"did you mean {close[0]!r}?" if close else f"there is {', '.join(_NAMES)}"


def _build(values: dict[str, Any]) -> Profile:
    if values.get("output", "table") not in get_args(Form):
        raise CannotBeginError(f"output is one of {', '.join(get_args(Form))}, not {values['output']!r}")
    return Profile(**values)
