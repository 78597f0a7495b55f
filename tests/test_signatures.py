"""Signatures name every keyword, so that `help()` and completion show what can be given."""

from __future__ import annotations

import builtins
import collections.abc
import inspect
import pydoc
import re
import typing
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import Parameter
from pkgutil import walk_packages
from types import FunctionType
from typing import Any

import anyio
import openai
import pytest
from pydantic import BaseModel

import relaydance_async
from relaydance_async import (
    NOT_GIVEN,
    APIConnectionError,
    AsyncRelayDance,
    RelayDanceError,
    hooks,
    resources,
    sandbox,
    types,
    webhooks,
)
from relaydance_async.models.video import VideoRequest
from relaydance_async.resources._resource import Resource
from relaydance_async.resources._views import RawView, StreamedView

CLIENT = AsyncRelayDance("sk-1", base_url="http://127.0.0.1:9/v1", max_retries=0)  # nobody is there
VIEWS = ("with_raw_response", "with_streaming_response")


def of_the_client() -> Iterator[tuple[str, Any]]:
    """The client and all its resources, with their views."""
    found: list[tuple[str, Any]] = [("client", CLIENT)]
    while found:
        path, owner = found.pop()
        yield path, owner
        for name in dir(owner):
            if not name.startswith("_") and isinstance(part := getattr(owner, name), Resource | RawView | StreamedView):
                found.append((f"{path}.{name}", part))


METHODS = {
    f"{path}.{name}": method
    for path, owner in of_the_client()
    for name in dir(owner)
    if not name.startswith("_") and inspect.isroutine(method := getattr(owner, name))
}


def test_all_are_looked_at() -> None:
    for info in walk_packages(resources.__path__, f"{resources.__name__}."):
        import_module(info.name)
    public = [kind for kind in _subclasses(Resource) if "._" not in kind.__module__.removeprefix("relaydance_async._")]
    ours = [kind for kind in public if kind.__module__.startswith("relaydance_async.")]
    kinds = {kind for kind in ours if not kind.__subclasses__()}
    assert kinds <= {type(owner) for _, owner in of_the_client()}
    assert len(METHODS) > 90


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    below: type[Any]
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_no_keyword_is_hidden(method: Callable[..., Any]) -> None:
    parameters = inspect.signature(method).parameters.values()
    assert not [one for one in parameters if one.kind in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)]


EXPORTED = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (relaydance_async, hooks, sandbox, webhooks)
    for name in module.__all__
}
GIVEN = re.compile(r".*(Stream|Event|Response)|.*\.[A-Z]\w+Error|.*\.(ChatEvent|Hook|Outcome)")
"""What the package gives to callers, and what names a type: nobody makes one."""
MADE = {
    path: thing
    for path, thing in EXPORTED.items()
    if inspect.isroutine(thing)
    or (inspect.isclass(thing) and not GIVEN.fullmatch(path) and not issubclass(thing, BaseModel | dict))
}
OF_CLASSES = {
    f"{path}.{name}": getattr(kind, name)
    for path, kind in EXPORTED.items()
    if inspect.isclass(kind) and not issubclass(kind, BaseModel | BaseException)
    for name, method in vars(kind).items()
    if not name.startswith("_") and isinstance(method, FunctionType | classmethod | staticmethod)
}
SHOWN = {**MADE, **METHODS, **OF_CLASSES}


@pytest.mark.parametrize("path", SHOWN)
def test_a_signature_shows_what_callers_give_and_nothing_else(path: str) -> None:
    """A name that is private, or a `**` of anything, is nobody's to give."""
    parameters = inspect.signature(SHOWN[path]).parameters.values()
    assert not [one.name for one in parameters if one.name.startswith("_") or one.kind is Parameter.VAR_KEYWORD]


@pytest.mark.parametrize("kind", ["SqliteJournal", "PostgresJournal", "RedisLimits", "AsyncRelayDance"])
def test_what_callers_make_shows_each_keyword_with_type_and_default(kind: str) -> None:
    assert f"relaydance_async.{kind}" in MADE
    parameters = inspect.signature(getattr(relaydance_async, kind)).parameters.values()
    written = inspect.unwrap(getattr(relaydance_async, kind).__init__).__code__  # which the reference shows
    assert not written.co_flags & (inspect.CO_VARKEYWORDS | inspect.CO_VARARGS)
    assert all(one.annotation is not one.empty for one in parameters)
    assert all(one.default is not one.empty for one in parameters if one.kind is Parameter.KEYWORD_ONLY)


@pytest.mark.parametrize("path", [path for path in METHODS if any(view in path for view in VIEWS)])
def test_a_view_shows_what_the_resource_takes(path: str) -> None:
    plain = ".".join(part for part in path.split(".") if part not in VIEWS)
    assert inspect.signature(METHODS[path]).parameters == inspect.signature(METHODS[plain]).parameters


WITH_OPTIONS = {
    path: method
    for path, method in METHODS.items()
    if inspect.unwrap(method).__code__.co_flags & inspect.CO_VARKEYWORDS
    and not any(view in path for view in VIEWS)
    and path not in ("client.with_options", "client.copy")
}


class City(BaseModel):
    """What is asked for."""

    name: str


def now() -> str:
    """The time."""
    return "noon"


ARGUMENTS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "hi"}],
    "tools": [now],
    "tasks": ["x"],
    "response_format": City,
}


async def refusal_of(method: Callable[..., Any], **options: Any) -> str:
    """The TypeError of a call that gets no further than to its arguments, if there is one."""
    parameters = inspect.signature(method).parameters.values()
    needed = {one.name: ARGUMENTS.get(one.name, "x") for one in parameters if one.default is one.empty}
    with anyio.move_on_after(0.1):
        try:
            made = method(**needed, **options)
            if hasattr(made, "__aenter__"):
                async with made:
                    pass
            else:
                await (anext(made) if hasattr(made, "__anext__") else made)
        except RelayDanceError:
            return ""
        except TypeError as error:
            return str(error)
    return ""


@pytest.mark.anyio
@pytest.mark.parametrize("method", WITH_OPTIONS.values(), ids=WITH_OPTIONS)
async def test_what_is_shown_is_taken_and_nothing_else(method: Callable[..., Any]) -> None:
    parameters = inspect.signature(method).parameters.values()
    written = inspect.unwrap(method).__code__.co_varnames
    shown = {one.name: NOT_GIVEN for one in parameters if one.name not in written}
    assert shown
    assert not await refusal_of(method, **shown)
    assert "unexpected keyword" in await refusal_of(method, **shown, nonsense=1)


OWN = {
    path: method
    for path, method in METHODS.items()
    if inspect.signature(method).parameters and not re.search(r"\.with_(raw|streaming)_response\.", path)
}


@pytest.mark.parametrize("path", OWN)
def test_help_tells_what_is_taken_and_what_is_raised(path: str) -> None:
    """A method that is short for another one says so in its first line."""
    text = inspect.getdoc(OWN[path]) or ""
    if not re.search(r"see `request`|under openai's name", text.partition("\n")[0], re.IGNORECASE):
        assert re.search(r"^Args:\n", text, re.MULTILINE)
        assert re.search(r"^Raises:?( |\n)", text, re.MULTILINE)


def test_help_shows_names_types_and_defaults() -> None:
    text = pydoc.render_doc(CLIENT.chat.completions.create, renderer=pydoc.TextDoc())
    assert "temperature: 'float | None' = None" in text
    assert "timeout: 'float | PhaseTimeouts | NotGiven | None' = NOT_GIVEN" in text
    assert "**" not in text.partition("\n\n")[2].partition("Ask a chat model")[0]


def test_a_submit_names_what_the_request_model_has() -> None:
    shown = set(inspect.signature(CLIENT.video.submit).parameters)
    assert set(VideoRequest.model_fields) <= shown
    assert not {"params", "options"} & shown


def test_what_is_only_there_to_be_refused_is_not_shown() -> None:
    assert "organization" not in inspect.signature(CLIENT.with_options).parameters
    assert "organization" not in inspect.signature(AsyncRelayDance).parameters
    with pytest.raises(TypeError, match="organization= has no meaning here"):
        AsyncRelayDance("sk-1", organization="o")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("method", "given", "meant"),
    [
        (CLIENT.chat.completions.create, {"model": "m", "messages": [], "temprature": 1}, "temperature"),
        (CLIENT.images.generate, {"model": "m", "prompt": "p", "sise": "1x1"}, "size"),
        (CLIENT.video.submit, {"model": "m", "prompt": "p", "second": 5}, "seconds"),
        (CLIENT.with_options, {"time_out": 3}, "timeout"),
    ],
)
def test_a_typing_error_is_told_what_was_meant(method: Callable[..., Any], given: dict[str, Any], meant: str) -> None:
    with pytest.raises(TypeError, match=f"did you mean {meant}"):
        method(**given)


@pytest.mark.anyio
@pytest.mark.parametrize("nothing", [NOT_GIVEN, openai.omit, openai.NOT_GIVEN])
async def test_an_argument_that_is_not_given_has_its_default(nothing: Any) -> None:
    words: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    turns: dict[str, Any] = {"tools": [now], "max_turns": nothing, "on_event": nothing, "n": nothing, "stream": nothing}
    calls: list[Any] = [
        CLIENT.chat.run_tools(**words, **turns),
        CLIENT.chat.completions.parse(**words, response_format=City, validate_retries=nothing, strict=nothing),
        CLIENT.chat.completions.create(**words, stream=nothing),
        CLIENT.post("/x", body={}, timeout=nothing, deadline=nothing, files=nothing, billed=nothing),
    ]
    for call in calls:
        with pytest.raises(APIConnectionError):  # so far it comes
            await call


@pytest.mark.anyio
async def test_a_download_is_told_so_of_all_its_keywords() -> None:
    download: Any = CLIENT.video.download
    with pytest.raises(TypeError, match="did you mean overwrite"):
        await download("task_1", "clip.mp4", overwrit=False)


STANDARD: set[str] = {*dir(builtins), *dir(typing), *dir(collections.abc), "os", "PathLike", "Path", "SecretStr"}


def names_in(method: Callable[..., Any]) -> set[str]:
    """The types of a signature."""
    signature = inspect.signature(method)
    hints = [one.annotation for one in signature.parameters.values()] + [signature.return_annotation]
    return {name for hint in hints if isinstance(hint, str) for name in re.findall(r"[A-Za-z]\w*", _plain(hint))}


def _plain(hint: str) -> str:
    return re.sub(r"Literal\[.*?\]", "", hint)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_each_type_that_is_shown_is_exported(method: Callable[..., Any]) -> None:
    exported = {*relaydance_async.__all__, *hooks.__all__, *types.__all__}
    assert names_in(method) - STANDARD <= exported


def test_the_types_are_those_that_are_used() -> None:
    hinted = set[str]().union(*(names_in(method) for method in METHODS.values()))
    assert {"ChatMessage", "Usage", "FileInput", "VideoParams", "NotGiven"} <= set(relaydance_async.__all__)
    assert len(hinted & set(types.__all__)) > 20
    assert all(getattr(types, name) is not None for name in types.__all__)
