"""Measurements in a process of their own: clean memory, only the imports of one peer.

The parent sends one line of JSON for each measurement and gets one back, so that the repeats of several peers can take
turns while each keeps its process. Only functions of this package are called.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import traceback
from functools import cache
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from .machine import raise_file_limit


@cache
def _compiled() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


def environment() -> dict[str, str]:
    """For processes that import what is measured, as if it were installed: the first keeps the bytecode for the others.
    Without, most of an import is the compiler's."""
    return {**os.environ, "PYTHONPYCACHEPREFIX": _compiled().name, "PYTHONDONTWRITEBYTECODE": ""}


class ChildError(RuntimeError):
    """A measurement failed; its traceback."""


class Child:
    """A process that measures; a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        return self

    def call(self, module: str, function: str, **arguments: Any) -> Any:
        """What the function of that module of this package returns, there.

        Raises:
            ChildError: it raised.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"module": module, "function": function, "arguments": arguments}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ChildError(f"the process ended: {self._process.wait(10)}")
        answer = json.loads(line)
        if "error" in answer:
            raise ChildError(answer["error"])
        return answer["result"]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def call_once(module: str, function: str, **arguments: Any) -> Any:
    """Like `Child.call`, in a process for this one call."""
    with Child() as child:
        return child.call(module, function, **arguments)


def _obey(line: str) -> dict[str, Any]:
    order = json.loads(line)
    try:
        module = importlib.import_module(f"benchmarks.{order['module']}")
        return {"result": getattr(module, order["function"])(**order["arguments"])}
    except Exception as error:
        return {"error": "".join(traceback.format_exception(_innermost(error)))}


def _innermost(error: BaseException) -> BaseException:
    """The first of the errors that a task group collected."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def main() -> None:
    raise_file_limit()
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(_obey(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
