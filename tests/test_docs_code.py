"""The code in the documents is run, against the sandbox.

Every ```python block of the README, the changelog, docs/ and the package's docstrings is executed as it stands: the
blocks of one document (or of one docstring) in order, sharing their names, with `await` allowed at the top level, the
sandbox's address and key in the environment, and SAMPLES in the working directory. `<!-- no-run: why -->` right
before a block exempts it. A block without a language that we know is an error, and so is a command that names a nox
session, a module or an extra that does not exist.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import re
import textwrap
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LANGUAGES = {"python", "bash", "console", "text", "json", "toml", "mermaid"}
SAMPLES = {
    "product.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9",
}
BLOCK_SECONDS = 60

FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[\w-]*)")
NO_RUN = re.compile(r"<!--\s*no-run\b:?\s*(?P<reason>.*?)\s*-->")


@dataclass(frozen=True)
class Block:
    path: Path
    line: int  # of its first line of code, from 1
    language: str
    code: str
    no_run: str | None = None  # the reason of its exemption

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"


class DocumentError(Exception):
    """A document is wrong in a way that needs no running: the message begins with its place."""


def blocks_of(text: str, path: Path, first_line: int = 1) -> list[Block]:
    """The fenced blocks of a Markdown text that begins at this line of the file."""
    found: list[Block] = []
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        opening = FENCE.match(lines[index])
        index += 1
        if not opening:
            continue
        start, closing = index, re.compile(rf" *{opening['fence']}\s*$")
        while index < len(lines) and not closing.match(lines[index]):
            index += 1
        place = f"{path}:{first_line + start - 1}"
        if index == len(lines):
            raise DocumentError(f"{place}: a code block without an end")
        if opening["language"] not in LANGUAGES:
            raise DocumentError(f"{place}: the language {opening['language']!r} is none of {sorted(LANGUAGES)}")
        code = textwrap.dedent("\n".join(lines[start:index])) + "\n"
        exemption = _exemption(lines[: start - 1], place)
        found.append(Block(path, first_line + start, opening["language"], code, exemption))
        index += 1
    return found


def _exemption(before: list[str], place: str) -> str | None:
    """The reason in the comment right above a block, blank lines aside."""
    last = next((line for line in reversed(before) if line.strip()), "")
    comment = NO_RUN.search(last)
    if comment and not comment["reason"]:
        raise DocumentError(f"{place}: `no-run` needs a reason")
    return comment["reason"] if comment else None


def docstrings_of(source: str) -> Iterator[tuple[str, int]]:
    """Each docstring of a module with the line that it begins at."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            if docstring is not None:
                yield docstring, node.body[0].lineno


def chapters_of(path: Path) -> list[list[Block]]:
    """The blocks of a file, in the groups that share their names: a whole document, or one docstring."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        chapters = [blocks_of(docstring, path, line) for docstring, line in docstrings_of(text)]
    else:
        chapters = [blocks_of(text, path)]
    return [chapter for chapter in chapters if chapter]


def run_chapter(blocks: list[Block]) -> None:
    """Runs the Python blocks one after another in one event loop; a failure is told with the line of the document."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for block in blocks:
            if block.language == "python" and block.no_run is None:
                _run_block(block, names, runner)


def _run_block(block: Block, names: dict[str, Any], runner: asyncio.Runner) -> None:
    """Runs code that awaits inside the loop, and code that does not (it may call `asyncio.run` itself) outside."""
    padded = "\n" * (block.line - 1) + block.code
    try:
        code = compile(padded, str(block.path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, names)
        if code.co_flags & inspect.CO_COROUTINE:
            runner.run(asyncio.wait_for(result, BLOCK_SECONDS))
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(block.path)]
        line = next(iter(lines), getattr(error, "lineno", block.line))
        raise DocumentError(f"{block.path}:{line}: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Project:
    """What commands in the documents may name."""

    sessions: frozenset[str]
    extras: frozenset[str]

    @classmethod
    def read(cls, root: Path) -> Project:
        noxfile = ast.parse((root / "noxfile.py").read_text(encoding="utf-8"))
        sessions = {
            node.name
            for node in noxfile.body
            if isinstance(node, ast.FunctionDef)
            and any("nox.session" in ast.unparse(decorator) for decorator in node.decorator_list)
        }
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return cls(frozenset(sessions), frozenset(project["optional-dependencies"]))

    def unknown_names(self, text: str) -> Iterator[tuple[int, str]]:
        """What the commands anywhere in this text name that does not exist, each with its line."""
        for number, line in enumerate(text.splitlines(), start=1):
            for session in re.findall(r"\bnox (?:-s|-e|--sessions?)[ =]([\w.-]+)", line):
                if re.sub(r"-3\.\d+\.?$", "", session) not in self.sessions:
                    yield number, f"no nox session {session}"
            for module in re.findall(r"\bpython[\d.]* -m (relaydance_async[\w.]*)", line):
                if not runnable(module.rstrip(".")):
                    yield number, f"no module {module} to run"
            for extras in re.findall(r"relaydance-async\[([\w, -]+)\]", line):
                for extra in {name.strip() for name in extras.split(",")} - self.extras:
                    yield number, f"no extra {extra}"


def runnable(module: str) -> bool:
    """Whether `python -m module` finds something to run."""
    try:
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{module}.__main__")
    except ModuleNotFoundError:
        return False
    return spec is not None


def documents() -> list[Path]:
    return [
        *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
        *sorted((ROOT / "docs").rglob("*.md")),
    ]


def sources() -> list[Path]:
    """The modules with a code block in a docstring, of the package under test wherever it is installed."""
    spec = importlib.util.find_spec("relaydance_async")
    assert spec is not None
    assert spec.origin is not None
    files = sorted(Path(spec.origin).parent.rglob("*.py"))
    return [file for file in files if re.search(r"^ *(```|~~~)", file.read_text(encoding="utf-8"), re.MULTILINE)]


def short(path: Path) -> str:
    return path.name if path.parent == ROOT else "/".join(path.parts[-2:])


@pytest.mark.parametrize("path", [*documents(), *sources()], ids=short)
def test_the_code_in_a_document_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from relaydance_async.sandbox import Sandbox

    chapters = [chapter for chapter in chapters_of(path) if any(block.language == "python" for block in chapter)]
    if not chapters:
        return
    for name, content in SAMPLES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with Sandbox(dialect="gateway", time_scale=50.0) as sandbox:
        monkeypatch.setenv("RELAYDANCE_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("RELAYDANCE_API_KEY", sandbox.api_key)
        for chapter in chapters:
            run_chapter(chapter)


@pytest.mark.parametrize("path", documents(), ids=short)
def test_the_commands_in_a_document_exist(path: Path) -> None:
    unknown = Project.read(ROOT).unknown_names(path.read_text(encoding="utf-8"))
    assert [f"{short(path)}:{line}: {why}" for line, why in unknown] == []


def lossy_gathers(code: str) -> list[int]:
    """The lines of calls that make several paid things together, and lose the ids of all when one is refused."""
    tree = compile(code, "", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("gather")
        and re.search(r"\.(submit|generate|create|edit|upload)\(", " ".join(map(ast.unparse, node.args)))
        and not any(keyword.arg == "return_exceptions" for keyword in node.keywords)
    ]


@pytest.mark.parametrize("path", [*documents(), *sources()], ids=short)
def test_no_example_loses_what_was_paid_for(path: Path) -> None:
    blocks = [block for chapter in chapters_of(path) for block in chapter if block.language == "python"]
    assert [block.where for block in blocks if lossy_gathers(block.code)] == []


def test_a_gather_that_loses_ids_is_found() -> None:
    lossy = "await asyncio.gather(*(client.video.submit(prompt=p) for p in prompts))\n"
    kept = "await asyncio.gather(*(client.video.submit(prompt=p) for p in prompts), return_exceptions=True)\n"
    assert (lossy_gathers(lossy), lossy_gathers(kept)) == ([1], [])


def test_the_readme_shows_code() -> None:
    (chapter,) = chapters_of(ROOT / "README.md")
    assert any(block.language == "python" and block.no_run is None for block in chapter)


def page(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(textwrap.dedent(text).lstrip("\n"))
    return path


def run_page(tmp_path: Path, text: str) -> None:
    for chapter in chapters_of(page(tmp_path, text)):
        run_chapter(chapter)


def test_the_blocks_of_a_page_run_in_order_and_share_their_names_and_their_loop(tmp_path: Path) -> None:
    run_page(
        tmp_path,
        f"""
        ```python
        import asyncio
        loop = asyncio.get_running_loop(); await asyncio.sleep(0)
        ```

        - in a list

          ```python
          await asyncio.sleep(0)
          open({str(tmp_path / "ran")!r}, "x").close()
          assert asyncio.get_running_loop() is loop
          ```
        """,
    )
    assert (tmp_path / "ran").exists()


def test_a_block_may_be_a_whole_script(tmp_path: Path) -> None:
    run_page(
        tmp_path,
        f"""
        ~~~python
        import asyncio, pathlib

        async def main() -> None:
            pathlib.Path({str(tmp_path / "ran")!r}).touch()

        if __name__ == "__main__":
            asyncio.run(main())
        ~~~
        """,
    )
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("await nothing", "page.md:4: NameError: name 'nothing' is not defined"),
        ("assert 1 == 2", "page.md:4: AssertionError"),
        ("(", "page.md:4: SyntaxError"),
    ],
)
def test_a_failure_names_the_line_of_the_page(tmp_path: Path, code: str, why: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(why)):
        run_page(tmp_path, f"# Title\n\n```python\n{code}\n```\n")


def test_a_page_that_hangs_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.BLOCK_SECONDS", 0.01)
    with pytest.raises(DocumentError, match=r"page\.md:2: TimeoutError"):
        run_page(tmp_path, "```python\nimport asyncio\nawait asyncio.Event().wait()\n```\n")


def test_an_exempt_block_is_not_run_and_says_why(tmp_path: Path) -> None:
    path = page(tmp_path, "<!-- no-run: needs a real key -->\n\n```python\n1 / 0\n```\n\n```python\nfine = True\n```\n")
    (chapter,) = chapters_of(path)
    run_chapter(chapter)
    assert [block.no_run for block in chapter] == ["needs a real key", None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<!-- no-run -->\n```python\n```\n", "page.md:2: `no-run` needs a reason"),
        ("<!-- no-run: -->\n```python\n```\n", "page.md:2: `no-run` needs a reason"),
        ("```\nx\n```\n", "page.md:1: the language '' is none of"),
        ("```pyhton\nx\n```\n", "page.md:1: the language 'pyhton' is none of"),
        ("text\n\n```python\nx\n", "page.md:3: a code block without an end"),
    ],
)
def test_a_block_that_could_escape_is_an_error(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(why)):
        chapters_of(page(tmp_path, text))


def test_docstrings_are_chapters_of_their_own_with_the_lines_of_the_file(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""A module.\n\n```python\nfirst = 1\n```\n"""\n\n'
        'async def f():\n    """Does.\n\n    ```python\n    first\n    ```\n    """\n'
    )
    first, second = chapters_of(module)
    assert [(block.line, block.code) for block in [*first, *second]] == [(4, "first = 1\n"), (12, "first\n")]
    with pytest.raises(DocumentError, match=r"module\.py:12: NameError"):
        run_chapter(second)


def test_a_command_that_names_nothing_is_found() -> None:
    project = Project(frozenset({"tests"}), frozenset({"cli"}))
    text = """
        .venv/bin/nox -s tests, nox -s tests-3.12 and python -m relaydance_async.sandbox are known;
        nox -s test is not, nor is `python3 -m relaydance_async.nothing`;
        pip install "relaydance-async[cli]" is known, pip install relaydance-async[cli,gui] is not.
    """
    assert list(project.unknown_names(text)) == [
        (3, "no nox session test"),
        (3, "no module relaydance_async.nothing to run"),
        (4, "no extra gui"),
    ]
