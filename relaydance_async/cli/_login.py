"""`relaydance login`: a key is kept on this machine."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from .. import AsyncRelayDance
from .._config import Secret
from ._exits import DONE, CannotBeginError, say
from ._key import ask_keyring
from ._session import Here, Session


def login(*, forget: bool = False, session: Here) -> int:
    """Keep a key on this machine: in a file that nobody else can read, or in the keyring if the profile says so.

    It is asked for, without showing it; in a pipe it is read from stdin.

    Args:
        forget: remove it instead.
    """
    if forget:
        _forget(session)
        return DONE
    secret = Secret(_ask().strip())
    if not secret.reveal():
        raise CannotBeginError("no key was given: type it, or send it to stdin")
    try:
        AsyncRelayDance(secret.reveal() or "", base_url=session.base_url)
    except ValueError as error:
        raise CannotBeginError(str(error)) from None
    if session.profile.key == "keyring":
        ask_keyring("set_password", session.name, secret.reveal())
        say(f"kept in the keyring, for the profile {session.name}")
    else:
        write_private(session.key_file, secret)
        say(f"kept in {session.key_file}, for the profile {session.name}")
    return DONE


def _ask() -> str:
    return getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()


def write_private(path: Path, secret: Secret) -> None:
    """Write a file that only its owner can read; never for a moment is it otherwise."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(f"{secret.reveal()}\n")
    fresh.replace(path)


def _forget(session: Session) -> None:
    if session.profile.key == "keyring":
        ask_keyring("delete_password", session.name)
    else:
        session.key_file.unlink(missing_ok=True)
    say(f"the key of the profile {session.name} is forgotten")
