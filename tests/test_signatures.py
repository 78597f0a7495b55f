"""Signatures name every keyword, so that `help()` and completion show what can be given."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import Parameter
from pkgutil import walk_packages
from typing import Any

import pytest

import relaydance_async
from relaydance_async import NOT_GIVEN, AsyncRelayDance, resources
from relaydance_async.models.video import VideoRequest
from relaydance_async.resources._resource import Resource
from relaydance_async.resources._views import RawView, StreamedView

CLIENT = AsyncRelayDance("sk-1")
VIEWS = ("with_raw_response", "with_streaming_response")


def of_the_client() -> Iterator[tuple[str, Any]]:
    """The client and all its resources, with their views."""
    found = [("client", CLIENT)]
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
    kinds = {kind for kind in _subclasses(Resource) if not kind.__subclasses__() and kind.__module__.startswith("relay")}
    assert kinds <= {type(owner) for _, owner in of_the_client()}
    assert len(METHODS) > 100


def _subclasses(kind: type) -> Iterator[type]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_no_keyword_is_hidden(method: Callable[..., Any]) -> None:
    parameters = inspect.signature(method).parameters.values()
    assert not [one for one in parameters if one.kind in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)]


@pytest.mark.parametrize("path", [path for path in METHODS if any(view in path for view in VIEWS)])
def test_a_view_shows_what_the_resource_takes(path: str) -> None:
    plain = ".".join(part for part in path.split(".") if part not in VIEWS)
    assert inspect.signature(METHODS[path]).parameters == inspect.signature(METHODS[plain]).parameters


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_each_keyword_that_is_shown_is_taken(method: Callable[..., Any]) -> None:
    """What a method doesn't take is a TypeError that says so, at once or where it is awaited."""
    parameters = inspect.signature(method).parameters.values()
    given = {one.name: NOT_GIVEN for one in parameters if one.kind is Parameter.KEYWORD_ONLY}
    target = inspect.unwrap(getattr(method, "__func__", method))
    for name in given:
        assert name in target.__code__.co_varnames or target.__code__.co_flags & inspect.CO_VARKEYWORDS


def test_help_shows_names_types_and_defaults() -> None:
    text = pydoc.render_doc(CLIENT.chat.completions.create, renderer=pydoc.plaintext)
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
        AsyncRelayDance("sk-1", organization="o")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda client: client.chat.completions.create(model="m", messages=[], temprature=1), "temperature"),
        (lambda client: client.images.generate(model="m", prompt="p", sise="1x1"), "size"),
        (lambda client: client.video.submit(model="m", prompt="p", second=5), "seconds"),
        (lambda client: client.with_options(time_out=3), "timeout"),
    ],
)
def test_a_typing_error_is_told_what_was_meant(call: Callable[[AsyncRelayDance], Any], meant: str) -> None:
    with pytest.raises(TypeError, match=f"did you mean {meant}"):
        call(CLIENT)


@pytest.mark.anyio
async def test_a_download_is_told_so_of_all_its_keywords() -> None:
    download: Any = CLIENT.video.download
    with pytest.raises(TypeError, match="did you mean overwrite"):
        await download("task_1", "clip.mp4", overwrit=False)


def test_the_package_has_the_names_of_the_types_that_people_write_down() -> None:
    for name in ("VideoParams", "ChatMessage", "Usage", "FileInput", "NotGiven", "NOT_GIVEN"):
        assert name in relaydance_async.__all__
