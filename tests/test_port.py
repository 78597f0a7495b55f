"""The program of docs/port.md: before and after print the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from relaydance_async.sandbox import Sandbox
from tests.test_docs_code import chapters_of

PAGE = Path(__file__).parents[1] / "docs/port.md"


def output_of(program: str, folder: Path) -> list[str]:
    folder.mkdir()
    with Sandbox(seed=1) as sandbox:
        sandbox.chat.reply(tool_calls=[{"name": "weather", "arguments": {"city": "Bonn"}}])
        sandbox.chat.reply("It rains.")
        sandbox.chat.reply('{"name": "Bonn", "people": 330000}')
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "RELAYDANCE_API_KEY": sandbox.api_key, "RELAYDANCE_BASE_URL": sandbox.base_url},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert sandbox.chat.left == 0
        assert sandbox.ledger.duplicates() == 0
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_before_and_after_print_the_same(tmp_path: Path) -> None:
    (blocks,) = chapters_of(PAGE)
    before, after = (output_of(block.code, tmp_path / str(block.line)) for block in blocks)
    assert before == after
    assert [line.partition(":")[0] for line in after] == ["tools", "parsed", "stream", "image", "batch"]
    assert after[0] == "tools: It rains."
