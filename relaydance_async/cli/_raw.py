"""`relaydance raw`: any endpoint, also one that this version has no name for."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from .. import AsyncRelayDance
from ._exits import DONE, CannotBeginError
from ._files import Out, check_out
from ._journal import open_journal
from ._output import Output, harmless
from ._play import play
from ._session import Here


def raw(
    method: str,
    path: str,
    /,
    *,
    body: str | None = None,
    query: tuple[str, ...] = (),
    header: tuple[str, ...] = (),
    form: tuple[str, ...] = (),
    stream: bool = False,
    free: bool = False,
    out: Out = None,
    overwrite: bool = False,
    idempotency_key: str | None = None,
    session: Here,
) -> int:
    """Ask any endpoint, with the same care as all others: retries, limits, and nothing paid for twice.

    Args:
        method: GET, POST, …
        path: below the base URL, such as /models; one that begins with /api/ is below the host's root.
        body: JSON; @FILE: what is in it; @-: what comes on stdin.
        query: NAME=VALUE. May be repeated.
        header: NAME=VALUE. May be repeated.
        form: NAME=VALUE, or NAME=@FILE, sent as a form. May be repeated.
        stream: show the answer as it comes.
        free: it costs nothing, so it may be repeated after a failure. (A POST is taken for a paid one.)
        out: the file for the answer.
        overwrite: replace that file.
        idempotency_key: names the request; the journal gives its answer when it is asked for again.
    """
    check_out(out, overwrite=overwrite)
    fields, files = _split(form)
    options: dict[str, Any] = {
        "body": fields if form else _body(body),
        "files": files or None,
        "query": _pairs("--query", query) or None,
        "headers": _pairs("--header", header) or None,
        "billed": False if free else None,
    }

    async def work(client: AsyncRelayDance) -> None:
        if stream:
            await _stream(client, method, path, options)
        elif idempotency_key is not None:
            answer = await client.request(method, path, idempotency_key=idempotency_key, **options)
            _show(json.dumps(answer).encode(), out, session.output)
        else:
            ask: Callable[..., Any] = client.request
            _show(await ask(method, path, cast_to=bytes, **options), out, session.output)

    play(session, work, journal=None if idempotency_key is None else open_journal(session))
    return DONE


async def _stream(client: AsyncRelayDance, method: str, path: str, options: dict[str, Any]) -> None:
    async with (
        await client.request(method, path, cast_to=bytes, stream=True, **options) as pieces,
        aclosing(aiter(pieces)) as coming,
    ):
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        async for piece in coming:
            if sys.stdout.isatty():
                sys.stdout.write(harmless(decode(piece)))
            else:
                sys.stdout.buffer.write(piece)
            sys.stdout.flush()


def _body(text: str | None) -> bytes | None:
    if text is None or not text.startswith("@"):
        return None if text is None else text.encode()
    return _content(text[1:])


def _content(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CannotBeginError(f"{name} can't be read: {error.strerror}") from None


def _pairs(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """Names that are there several times get a list."""
    found: dict[str, Any] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise CannotBeginError(f"{option} takes NAME=VALUE, not {text!r}")
        found[name] = value if name not in found else [*_as_list(found[name]), value]
    return found


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]


def _split(form: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a form that are texts, and those that are files."""
    pairs = _pairs("--form", form)
    files = {name: Path(value[1:]) for name, value in pairs.items() if isinstance(value, str) and value[:1] == "@"}
    return {name: value for name, value in pairs.items() if name not in files}, files


def _show(content: bytes, out: Path | None, output: Output) -> None:
    if out is not None:
        out.write_bytes(content)
        return
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        if not sys.stdout.isatty():
            sys.stdout.buffer.write(content)
        elif content.isascii():
            sys.stdout.write(harmless(content.decode()))
        else:
            raise CannotBeginError("the answer is not for a terminal: --out saves it, or give it to a pipe") from None
        return
    (Output("json") if output.is_table else output).one(found)
