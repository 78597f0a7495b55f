"""A conversation on a terminal: `relaydance chat` without a question."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from ..errors import RelayDanceError
from ._chat import Shown, Talk
from ._exits import DONE, say, sentence_of
from ._output import Output
from ._session import Session

_HELP = "/new begins anew, /model ID asks another one, Ctrl-C stops an answer, Ctrl-D ends"


def converse(session: Session, talk: Talk, parts: Sequence[dict[str, Any]]) -> int:
    """Talk until the end of the input; the exit status.

    Args:
        parts: pictures, for the first question.
    """
    with suppress(ImportError):
        import_module("readline")  # `input` edits lines with it
    client = session.client()
    print(f"{talk.model}. {_HELP}.", file=sys.stderr)
    with asyncio.Runner() as runner:
        while True:
            try:
                line = input("> ").strip()
                if line.startswith("/"):
                    _command(talk, line)
                elif line:
                    talk.ask(line, parts)
                    parts = ()
                    _answer(runner, client, talk, Shown(Output("table")))
            except KeyboardInterrupt:  # at the prompt: what was typed is dropped
                print(file=sys.stderr)
            except EOFError:
                print()
                break
        runner.run(client.aclose())
    return DONE


def _command(talk: Talk, line: str) -> None:
    name, _, rest = line.partition(" ")
    if name == "/new":
        talk.forget()
    elif name == "/model" and rest.strip():
        talk.model = rest.strip()
    else:
        print(_HELP, file=sys.stderr)


def _answer(runner: asyncio.Runner, client: Any, talk: Talk, shown: Shown) -> None:
    """One answer. A question without one is taken back, so that it can be asked again."""
    said = len(talk.messages)
    try:
        runner.run(talk.answer(client, shown, stream=True))
    except (RelayDanceError, KeyboardInterrupt) as error:
        print(flush=True)
        say(sentence_of(error))
        del talk.messages[said - 1 :]
