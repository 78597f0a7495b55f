"""Are the documents short and plain? Sentences have at most 16 words on average and 30 at most.

`python -m tests.prose` names each sentence that is too long, and each page whose average is. Half of the readers have
English as a second language.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob(".github/*.md"), *ROOT.glob("docs/**/*.md")])
LONGEST = 30
AVERAGE = 16

# What is no prose: blocks of code, comments, headings, directives, tables' rulers.
_CODE = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SILENT = re.compile(r"^(#|:::|!!!|\?\?\?|===|---|\[.*\]: | {4,}\w+: |\|[ :|-]+\|$|!\[)")
_ITEM = re.compile(r"^ *([-*+]|\d+\.) +")
# One word each: code in a line, and a link's text without its address.
_INLINE = re.compile(r"`+[^`]+`+")
_LINK = re.compile(r"!?\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])?")
# A sentence ends at its mark, also within a quotation; an abbreviation's stop is no end.
_END = re.compile(r"(?<=[.!?])[\"”)*_]* +(?=[\"“(*_`A-Z0-9])")
_ABBREVIATION = re.compile(r"\b(e\.g|i\.e|etc|vs|cf)\.")
_WORD = re.compile(r"[\w’'./:%µ+×=<>≤≥–-]*\w[\w’'./:%µ+×=<>≤≥–-]*")


def paragraphs(text: str) -> Iterator[str]:
    """Each paragraph, item of a list and cell of a table, as one line."""
    text = _COMMENT.sub("", _CODE.sub("", text))
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        apart = not line.strip() or _SILENT.match(line) or line.lstrip().startswith("|")
        if lines and (apart or _ITEM.match(line)):
            yield " ".join(lines)
            lines = []
        if line.lstrip().startswith("|") and not _SILENT.match(line):
            yield from (cell.strip() for cell in line.strip().strip("|").split("|"))
        elif not apart:
            lines.append(_ITEM.sub("", line).strip())


def sentences(text: str) -> Iterator[list[str]]:
    """The words of each sentence. What is no sentence, such as a table's cell of one word, is left out."""
    for paragraph in paragraphs(text):
        plain = _ABBREVIATION.sub(r"\1", _LINK.sub(r"\1", _INLINE.sub("Code", paragraph)))
        for sentence in _END.split(plain):
            words = _WORD.findall(sentence)
            if len(words) > 2:
                yield words


def complaints(page: Path, text: str) -> Iterator[str]:
    """What is wrong with a page."""
    found = list(sentences(text))
    for words in found:
        if len(words) > LONGEST:
            yield f"{page}: {len(words)} words: {' '.join(words)}"
    average = sum(map(len, found)) / max(1, len(found))
    if average > AVERAGE:
        yield f"{page}: sentences have {average:.1f} words on average"


def check(pages: Iterable[Path]) -> list[str]:
    """What is wrong with these pages."""
    return list(
        chain.from_iterable(complaints(page.relative_to(ROOT), page.read_text(encoding="utf-8")) for page in pages)
    )


if __name__ == "__main__":
    sys.exit("\n".join(check(PAGES)) or None)
