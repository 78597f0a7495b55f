"""What a function's docstring says of it and of its parameters: Google's style, Sphinx' `:param name:`, or NumPy's."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"(Args|Arguments|Parameters|Params|Returns?|Raises|Yields?|Examples?|Notes?|Attributes):?\s*")
_OF_PARAMETERS = ("Args", "Arguments", "Parameters", "Params")
_GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY = re.compile(r"\*{0,2}(\w+)\s*:\s*\S.*|(\w+)")
_SPHINX = re.compile(r":param(?:\s+[^:]+?)?\s+(\w+)\s*:\s*(.*)")


def parse_docstring(text: str | None) -> tuple[str, dict[str, str]]:
    """The text before the first section, and what is said of each parameter."""
    lines = inspect.cleandoc(text or "").splitlines()
    first = next((at for at, line in enumerate(lines) if _begins_section(line)), len(lines))
    summary = " ".join(" ".join(lines[:first]).split())
    return summary, {name: " ".join(told.split()) for name, told in _parameters(lines[first:]).items()}


def _begins_section(line: str) -> bool:
    return bool(_SECTION.fullmatch(line)) or line.startswith((":param", ":return", ":raise", ":type", "@param"))


def _parameters(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    section, name, margin = "", "", 0
    is_numpy = any(set(line.strip()) == {"-"} for line in lines[1:2])
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if sphinx := _SPHINX.fullmatch(line.strip()):
            section, name, margin = "", sphinx[1], indent
            found[name] = sphinx[2]
        elif not indent and (begun := _SECTION.fullmatch(line)):
            section, name, margin = begun[1], "", 0
        elif not line.strip() or set(line.strip()) == {"-"}:
            continue
        elif section in _OF_PARAMETERS and (not name or indent <= margin):
            name, margin = _begin(line.strip(), found, is_numpy=is_numpy), indent
        elif name and indent > margin:
            found[name] += f" {line.strip()}"
        else:
            name = ""
    return found


def _begin(line: str, found: dict[str, str], *, is_numpy: bool) -> str:
    """The parameter that a line begins; "" when it begins none."""
    if is_numpy:
        matched = _NUMPY.fullmatch(line)
        name, told = (matched[1] or matched[2], "") if matched else ("", "")
    else:
        matched = _GOOGLE.fullmatch(line)
        name, told = (matched[1], matched[2]) if matched else ("", "")
    if name:
        found[name] = told
    return name
