"""Runs the parsers against a coverage-guided fuzzer (atheris, over LLVM's libFuzzer).

    python -m tests.fuzz [--runs N] [--seconds S] [--seed N] [target ...]

Each target runs in a process of its own, which is ended by anything that is raised but an error of ours, by an input
that takes longer than 10 s, and by 2 GiB of memory. The memory is also measured after a tenth of the inputs and at the
end.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RUNS = 1_000_000
SECONDS = 3600
_DONE = re.compile(r"Done \d+ runs in \d+ second")
"""libFuzzer's last word."""
_INPUT_SECONDS = 10
_MEMORY_MIB = 2048
_MOST_GROWTH_MIB = 64


def main(arguments: Sequence[str]) -> int:
    """Fuzz each target in turn; the number that failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the parsers.")
    parser.add_argument("targets", nargs="*", metavar="target")
    parser.add_argument("--runs", type=int, default=RUNS, help="inputs for each target")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="the longest that one target may take")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        return _fuzz(options.targets[0], options.runs, options.seconds, options.seed)
    return sum(_run(name, arguments) != 0 for name in options.targets or _names())


def _names() -> list[str]:
    from tests.fuzz.targets import TARGETS

    return list(TARGETS)


def _run(name: str, arguments: Sequence[str]) -> int:
    flags = [flag for flag in arguments if flag not in _names()]
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "tests.fuzz", "--child", name, *flags]
        done = subprocess.run(command, env={**os.environ, "TMPDIR": directory}, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        print(done.stderr[-8000:], file=sys.stderr)
    elif ended := _DONE.search(done.stderr):  # also when the time was over before
        print(f"{name:12} {ended[0]}, nothing found", flush=True)
    return done.returncode


def _fuzz(name: str, runs: int, seconds: int, seed: int) -> int:
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(
        include=["relaydance_async._sansio", "relaydance_async._engine", "relaydance_async.models"]
    ):
        from tests.fuzz.targets import TARGETS
    directory = Path(tempfile.gettempdir())
    (directory / "seeds").mkdir()
    _write_seeds(directory / "seeds")
    words = directory / "words.txt"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in _words()))
    flags = [
        *(f"-runs={runs}", f"-max_total_time={seconds}", f"-seed={seed}", f"-timeout={_INPUT_SECONDS}"),
        *(f"-rss_limit_mb={_MEMORY_MIB}", "-max_len=4096", f"-dict={words}", f"-artifact_prefix={Path.cwd()}/"),
        str(directory / "seeds"),
    ]
    atheris.Setup([sys.argv[0], *flags], _Watched(name, TARGETS[name], runs))
    atheris.Fuzz()  # ends the process
    return 1


class _Watched:
    """A target, with its inputs counted and the memory measured."""

    def __init__(self, name: str, target: Callable[[bytes], None], runs: int) -> None:
        self._name = name
        self._target = target
        self._runs = runs
        self._count = 0
        self._slowest = 0.0
        self._before = 0.0
        self._started = time.monotonic()

    def __call__(self, data: bytes) -> None:
        begun = time.process_time()
        self._target(data)
        self._slowest = max(self._slowest, time.process_time() - begun)
        self._count += 1
        if self._count == max(1, self._runs // 10):
            self._before = _memory()
        if self._count == self._runs:
            self._report()

    def _report(self) -> None:
        growth = _memory() - self._before
        took = time.monotonic() - self._started
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(
            f"{self._name:12} {self._count:,} inputs, {took:.0f} s ({used.ru_utime:.0f} s CPU), "
            f"slowest {self._slowest * 1000:.0f} ms CPU, memory {self._before:.0f} MiB, then {growth:+.1f} MiB, "
            f"at most {used.ru_maxrss / 1024:.0f} MiB",
            flush=True,
        )
        _print_differences()
        if growth > _MOST_GROWTH_MIB:
            raise MemoryError(f"the memory grew by {growth:.0f} MiB")


def _print_differences() -> None:
    from tests.fuzz.answers import SEEN

    for what, count in SEEN.most_common():
        print(f"  {count:9,} {what}", flush=True)


def _memory() -> float:
    """MiB in use by this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _write_seeds(directory: Path) -> None:
    from tests.fuzz.answers import SEEDS
    from tests.fuzz.shapes import CHUNKS, ERRORS, RESULTS, TASKS

    for number, shape in enumerate([*ERRORS, *TASKS, *CHUNKS, *RESULTS]):
        text = json.dumps(shape).encode()
        (directory / f"{number}-plain").write_bytes(b"\xff" + text)
        (directory / f"{number}-event").write_bytes(b"\x00\x00data: " + text + b"\n\n")
        (directory / f"{number}-shape").write_bytes(bytes(16 * [number]))
        (directory / f"{number}-bare").write_bytes(text)
    for number, seed in enumerate(SEEDS):
        (directory / f"{number}-answer").write_bytes(b"\x00\x00\xff" + seed)


def _words() -> list[str]:
    from tests.fuzz.answers import WORDS
    from tests.fuzz.shapes import NAMES, ODD

    dates = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94", "+9999", "-0000", "120"]
    fields = ["rd_ref=", "rd_exp=", "rd_sig="]
    frames = ["data: ", "event: ", ": PING\n", "\r\n", "\n\n", "\r", "\xef\xbb\xbf", "[DONE]"]
    answers = [word.decode("latin-1") for word in WORDS]
    return [word for word in [*NAMES, *ODD, *dates, *fields, *frames, *answers] if 0 < len(word) < 60]


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
