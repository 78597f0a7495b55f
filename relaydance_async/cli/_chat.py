"""`relaydance chat`: one question, or a conversation."""

from __future__ import annotations

import base64
import mimetypes
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from .. import AsyncRelayDance, ChatCompletion, ChatStream
from ._exits import DONE, CannotBeginError, say
from ._files import is_local, opened
from ._output import Output, dump, harmless
from ._play import play
from ._session import Here, ModelId

Message = dict[str, Any]


def chat(
    *words: str,
    model: ModelId = None,
    system: str | None = None,
    image: tuple[str, ...] = (),
    stdin: bool = False,
    stream: Annotated[bool, Parameter(negative="--no-stream")] = True,
    json: bool = False,
    max_tokens: int | None = None,
    temperature: float | None = None,
    session: Here,
) -> int:
    """Ask a question. Without one on a terminal: talk, line by line, until Ctrl-D.

    Args:
        words: the question. Without one it is what comes on stdin.
        model: the id of the model (default: that of the profile).
        system: what the model is told first.
        image: a picture to look at: a file or a URL. May be repeated.
        stdin: add what comes on stdin to the question.
        stream: show the answer as it comes.
        json: show the whole answer as JSON; streamed, each chunk in a line. (`--output json` is the same, whole.)
        max_tokens: that the answer may be long.
        temperature: of the answer.
    """
    as_json = json or not session.output.is_table
    options = {"max_tokens": max_tokens, "temperature": temperature}
    talk = Talk(session.model("chat", model), system, {k: v for k, v in options.items() if v is not None})
    parts = [picture(name) for name in image]
    if not words and sys.stdin.isatty():
        from ._repl import converse

        return converse(session, talk, parts)
    talk.ask(_question(words, with_stdin=stdin or not words), parts)
    whole = (as_json and not json) or not stream
    shown = Shown(session.output if not session.output.is_table else Output("json" if as_json else "table"))
    play(session, lambda client: talk.answer(client, shown, stream=not whole))
    return DONE


def _question(words: Sequence[str], *, with_stdin: bool) -> str:
    text = " ".join(words).strip()
    if with_stdin:
        given = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
        text = "\n\n".join(filter(None, (text, given)))
    if not text:
        raise CannotBeginError('nothing was asked: relaydance chat "Why is the sea salty?"')
    return text


def picture(name: str) -> dict[str, Any]:
    """The part of a message that shows a picture: its URL, or the file itself.

    Raises:
        CannotBeginError: the file can't be read.
    """
    if is_local(name):
        with opened(Path(name)) as file:
            content = file.read()
        kind = mimetypes.guess_type(name)[0] or "image/png"
        name = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    return {"type": "image_url", "image_url": {"url": name}}


class Shown:
    """Shows an answer on stdout: its text, or what the gateway sent as JSON."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def piece(self, text: str) -> None:
        """A piece of the text. What a model writes moves no cursor."""
        if text:
            sys.stdout.write(harmless(text))
            sys.stdout.flush()

    def chunk(self, chunk: Any) -> None:
        """A chunk of a stream."""
        if not self._output.is_table:
            print(dump(chunk.model_dump(mode="json", exclude_unset=True)), flush=True)
        else:
            self.piece(chunk.text())

    def end(self, completion: ChatCompletion, *, streamed: bool) -> None:
        """The whole answer; what was streamed has been shown."""
        if not self._output.is_table:
            if not streamed:
                self._output.one(completion.model_dump(mode="json", exclude_unset=True))
            return
        if not streamed:
            self.piece(text_of(completion))
        print(flush=True)
        reason = completion.choices[0].finish_reason if completion.choices else None
        if reason not in (None, "stop"):
            say(f"the answer ended early: {reason}")


def text_of(completion: ChatCompletion) -> str:
    """The text of the first answer, or why there is none."""
    if not completion.choices:
        return ""
    message = completion.choices[0].message
    return message.content or message.refusal or ""


class Talk:
    """What was said so far.

    Args:
        options: of each question.
    """

    def __init__(self, model: str, system: str | None, options: dict[str, Any]) -> None:
        self.model: str = model
        self._options = options
        self._first: list[Message] = [{"role": "system", "content": system}] if system else []
        self.messages: list[Message] = [*self._first]

    def ask(self, question: str, parts: Sequence[dict[str, Any]] = ()) -> None:
        """Add a question, with pictures."""
        content = [{"type": "text", "text": question}, *parts] if parts else question
        self.messages.append({"role": "user", "content": content})

    def forget(self) -> None:
        """Begin anew."""
        self.messages = [*self._first]

    async def answer(self, client: AsyncRelayDance, shown: Shown, *, stream: bool) -> None:
        """Get the answer, show it and keep it."""
        got: ChatCompletion | ChatStream = await client.chat.completions.create(
            model=self.model, messages=self.messages, stream=stream, **self._options
        )
        if isinstance(got, ChatCompletion):
            completion = got
        else:
            async with got:
                async for chunk in got:
                    shown.chunk(chunk)
                completion = await got.get_final_completion()
        shown.end(completion, streamed=stream)
        self.messages.append({"role": "assistant", "content": text_of(completion)})
