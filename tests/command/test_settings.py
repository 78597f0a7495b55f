"""Profiles, and where the key comes from: never from what is typed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from relaydance_async.cli._exits import CannotBeginError
from relaydance_async.cli._profiles import read_profile
from relaydance_async.sandbox import Account, Sandbox
from tests.command.support import Desk, Sit, in_terminal


def refused(desk: Desk, *arguments: str) -> str:
    """What is said in one line, before anything was sent."""
    before = desk.sandbox.ledger.count()
    done = desk(*(arguments or ("models",)))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert desk.sandbox.ledger.count() == before
    return done.err


@pytest.mark.parametrize("typed", [["--api-key", "sk-typed-12345"], ["--api-key=sk-typed-12345"], ["--key", "x"]])
def test_a_key_that_is_typed_is_refused_and_not_repeated(desk: Desk, typed: list[str]) -> None:
    said = refused(desk, "models", *typed)
    assert "never typed" in said
    assert "sk-typed" not in said


def test_no_key(desk: Desk) -> None:
    desk.unset("RELAYDANCE_API_KEY")
    assert "RELAYDANCE_API_KEY" in refused(desk)
    assert "relaydance login" in refused(desk)


def test_a_key_in_a_file(desk: Desk) -> None:
    desk.unset("RELAYDANCE_API_KEY")
    desk.config(f'base_url = "{desk.sandbox.base_url}"')
    path = desk.write("config/relaydance/key", f"{desk.sandbox.api_key}\n")
    assert desk("models").code == 0
    for mode in (0o640, 0o604, 0o666):
        path.chmod(mode)
        assert f"chmod 600 {path}" in refused(desk)
    path.chmod(0o600)
    path.write_text("two\nlines")
    assert "nothing else" in refused(desk)
    path.unlink()
    path.mkdir()
    refused(desk)
    path.rmdir()
    os.mkfifo(path, 0o600)
    assert "must be a file" in refused(desk)


def test_a_key_goes_only_where_it_is_kept_for(desk: Desk) -> None:
    desk.unset("RELAYDANCE_API_KEY")
    desk.write("config/relaydance/key", desk.sandbox.api_key)
    assert "is for https://relaydance.com" in refused(desk)
    desk.unset("RELAYDANCE_BASE_URL")
    assert "is for https://relaydance.com" in refused(desk, "models", "--base-url", desk.sandbox.base_url)


def test_profiles(sit: Sit) -> None:
    desk = sit(accounts={"sk-first-0001": Account("first"), "sk-work-00002": Account("work")})
    desk.write("work.key", "sk-work-00002")
    desk.config(
        f'output = "json"\n[profiles.work]\nbase_url = "{desk.sandbox.base_url}"\nkey_file = "~/work.key"\n'
        'chat_model = "nothing"\n'
    )
    assert json.loads(desk("balance").out)["key"] == "first"
    assert json.loads(desk("balance", "--profile", "work").out)["key"] == "work"
    assert desk("chat", "Why?", "--profile", "work").code == 1
    assert desk("chat", "Why?").code == 0
    desk.set(RELAYDANCE_PROFILE="work")
    assert desk("chat", "Why?").code == 1
    assert "there is no profile 'wrok'" in refused(desk, "models", "--profile", "wrok")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('api_key = "sk-1234567890"', "must not hold the key"),
        ('key = "sk-1234567890"', "must not hold the key"),
        ('[profiles.work]\napi_key = "sk-1234567890"', ""),
        ('bas_url = "x"', "did you mean 'base_url'?"),
        ("output = 1", "must be text"),
        ('output = "xml"', "table, json, jsonl"),
        ("profiles = 3", "is a table"),
        ("= 3", "is no TOML"),
        ('base_url = "http://example.com"', "https://"),
        ('base_url = "https://u:p@example.com"', "no user name"),
    ],
)
def test_a_file_that_is_wrong(desk: Desk, text: str, said: str) -> None:
    desk.config(text)
    desk.unset("RELAYDANCE_BASE_URL")
    arguments = ("models", "--profile", "work") if "work" in text else ("models",)
    told = refused(desk, *arguments)
    assert said in told
    assert "sk-1234567890" not in told


def test_a_file_that_others_can_write(desk: Desk) -> None:
    desk.config("").chmod(0o666)
    assert "chmod go-w" in refused(desk)


def test_a_file_of_another_user(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.config('output = "json"')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(path.parents[1]))
    found, owner = path.stat(), path.stat().st_uid + 1

    def fstat(_: int) -> os.stat_result:
        return os.stat_result([*found[:4], owner, *found[5:10]])

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(CannotBeginError, match="belongs to another user"):
        read_profile(None)
    owner = 0  # root may set it up for all
    assert read_profile(None)[1].output == "json"


def test_an_address_that_is_typed(desk: Desk) -> None:
    with Sandbox() as other:
        assert desk("models", "--base-url", other.base_url).code == 0
        assert other.ledger.count() == 1
    assert desk.sandbox.ledger.count() == 0


class Keyring(ModuleType):
    """A keyring that has one key."""

    def __init__(self, **kept: str) -> None:
        super().__init__("keyring")
        self.kept = kept

    def get_password(self, service: str, name: str) -> str | None:
        assert service == "relaydance"
        if name == "locked":
            raise RuntimeError("it is locked")
        return self.kept.get(name)

    def set_password(self, service: str, name: str, value: str) -> None:
        self.kept[name] = value

    def delete_password(self, service: str, name: str) -> None:
        del self.kept[name]


def test_a_key_in_the_keyring(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.unset("RELAYDANCE_API_KEY")
    desk.config(f'base_url = "{desk.sandbox.base_url}"\nkey = "keyring"\n[profiles.locked]\n[profiles.empty]\n')
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert 'pip install "relaydance-async[keyring]"' in refused(desk)
    ring = Keyring(default=desk.sandbox.api_key)
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert desk("models").code == 0
    assert "it is locked" in refused(desk, "models", "--profile", "locked")
    assert "no API key" in refused(desk, "models", "--profile", "empty")
    assert desk("login", "--profile", "empty", typed="sk-other-0001\n").code == 0
    assert ring.kept["empty"] == "sk-other-0001"
    assert desk("login", "--forget", "--profile", "empty").code == 0
    assert desk("login", "--forget", "--profile", "empty").code == 2
    assert "empty" not in ring.kept


def test_login_on_a_terminal_shows_nothing_of_the_key(desk: Desk) -> None:
    desk.unset("RELAYDANCE_API_KEY")
    desk.config(f'base_url = "{desk.sandbox.base_url}"')
    key = desk.sandbox.api_key
    said, code = in_terminal("login", types=(("API key: ", f"{key}\n".encode()),))
    assert code == 0
    assert key not in said
    path = desk.home / "config/relaydance/key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == f"{key}\n"
    assert desk("models").code == 0
    assert desk("login", "--forget").code == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("typed", "why"),
    [("", "no key was given"), ("\n", "no key was given"), ("two words\n", "characters that no key has")],
)
def test_login_with_what_is_no_key(desk: Desk, typed: str, why: str) -> None:
    done = desk("login", typed=typed)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert why in done.err
    assert not (desk.home / "config/relaydance/key").exists()
