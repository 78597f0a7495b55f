"""The programs of docs/workers.md, as files: as they stand, but for their times."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "workers.md"
_PROGRAM = re.compile(r"```python\n(# (?P<name>\w+\.py)\n.*?)```", re.DOTALL)


def programs() -> dict[str, str]:
    """The code by the name of its file, which is its first line."""
    return {found["name"]: found[1] for found in _PROGRAM.finditer(PAGE.read_text(encoding="utf-8"))}


def write_program(folder: Path, name: str, **times: float) -> Path:
    """Put a program into a folder.

    Args:
        times: seconds to put in the place of those at its head, by the name.
    """
    code = programs()[name]
    for constant, seconds in times.items():
        code, number = re.subn(rf"^{constant} = \d+\b", f"{constant} = {seconds}", code, flags=re.MULTILINE)
        assert number == 1, f"{name} has no {constant}"
    path = folder / name
    path.write_text(code, encoding="utf-8")
    return path
