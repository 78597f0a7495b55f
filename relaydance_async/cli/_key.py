"""Where the key comes from: the environment, the system's keyring, or a file that nobody else can read."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from .._config import Secret
from ._exits import CannotBeginError
from ._output import short
from ._owner import is_of_another, others_may

ENVIRONMENT = "RELAYDANCE_API_KEY"
SERVICE = "relaydance"
"""Under which the keyring has it; the user's name there is the profile's."""
_LONGEST = 4096


@dataclass(frozen=True)
class FoundKey:
    """The key.

    Attributes:
        source: where it was found, in words.
        is_stored: whether it is kept for one address, and must go to no other.
    """

    secret: Secret = field(repr=False)
    source: str
    is_stored: bool


def from_environment() -> FoundKey | None:
    """RELAYDANCE_API_KEY, unless it is empty."""
    value = os.environ.get(ENVIRONMENT, "").strip()
    return FoundKey(Secret(value), f"the environment ({ENVIRONMENT})", is_stored=False) if value else None


def from_file(path: Path) -> FoundKey | None:
    """What is in a file, or None when there is none.

    Raises:
        CannotBeginError: others can read it, it is another user's, or it holds no key.
    """
    try:
        # What is checked is what is read, whatever happens to the name meanwhile. A pipe must not make it wait.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotBeginError(f"the key in {path} can't be read: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        _check(os.fstat(descriptor), path)
        content = file.read(_LONGEST + 1)
    lines = content.decode("utf-8", "replace").split()
    if len(lines) != 1 or len(content) > _LONGEST:
        raise CannotBeginError(f"{path} must hold the key, and nothing else")
    return FoundKey(Secret(lines[0]), f"the file {short(path)}", is_stored=True)


def _check(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise CannotBeginError(f"{path} must be a file that holds the key")
    if others_may(found, 0o077):
        raise CannotBeginError(f"others can read the key in {path}: chmod 600 {path}")
    if is_of_another(found):
        raise CannotBeginError(f"the key in {path} belongs to another user")


def from_keyring(profile: str) -> FoundKey | None:
    """What the system's keyring has for a profile, or None.

    Raises:
        CannotBeginError: the package `keyring` is missing, or the keyring can't be asked.
    """
    value = ask_keyring("get_password", profile)
    return FoundKey(Secret(value), f"the keyring ({SERVICE}, {profile})", is_stored=True) if value else None


def ask_keyring(method: str, profile: str, *values: str) -> Any:
    """Call the package's function of this name.

    Raises:
        CannotBeginError: it is missing, or the keyring can't be asked.
    """
    try:
        return getattr(import_module("keyring"), method)(SERVICE, profile, *values)
    except ImportError:
        raise CannotBeginError(
            'a key in the keyring needs keyring, which is not installed: pip install "relaydance-async[keyring]"'
        ) from None
    except Exception as error:  # each of its backends has errors of its own
        raise CannotBeginError(f"the keyring can't be asked: {type(error).__name__}: {error}") from None
