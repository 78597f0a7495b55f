"""The site: every page is in it, every public name is in its reference, and it needs nothing from elsewhere."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import relaydance_async
from relaydance_async import hooks, sandbox, types, webhooks
from relaydance_async.resources._resource import Resource
from tests.prose import complaints

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = [page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md"))]
DESCRIBED = re.findall(r"^::: relaydance_async\.(\S+)$", "\n".join(REFERENCE), re.MULTILINE)


def test_every_public_name_is_in_the_reference_once() -> None:
    public = {
        *relaydance_async.__all__,
        *(f"hooks.{name}" for name in set(hooks.__all__) - {"RetryEvent"}),  # which the package has too
        *(f"sandbox.{name}" for name in sandbox.__all__),
        *(f"webhooks.{name}" for name in webhooks.__all__),
        *(f"types.{name}" for name in set(types.__all__) - set(relaydance_async.__all__)),
    }
    assert public - {"__version__"} - set(DESCRIBED) == set()
    assert len(DESCRIBED) == len(set(DESCRIBED))


def test_every_endpoint_is_in_the_reference() -> None:
    client = relaydance_async.AsyncRelayDance("sk-test")
    resources = {type(value) for name in dir(client) if not name.startswith("_") and (value := resource(client, name))}
    described = {name.removeprefix("resources.") for name in DESCRIBED if name.startswith("resources.")}
    assert {
        f"{of.__module__.removeprefix('relaydance_async.resources.')}.{of.__name__}" for of in resources
    } <= described


def resource(client: object, name: str) -> object | None:
    found = getattr(client, name)
    return found if isinstance(found, Resource) else None


def test_the_index_for_language_models_names_each_page() -> None:
    named = set(re.findall(r"\]\(([^)]+)\)", (DOCS / "llms.txt").read_text(encoding="utf-8")))
    assert named == {page.relative_to(DOCS).with_suffix(".html").as_posix() for page in DOCS.rglob("*.md")}


def test_the_page_of_errors_has_each_in_its_tree_and_says_what_to_do() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    public = {name: getattr(relaydance_async, name) for name in relaydance_async.__all__}
    errors = {name for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, BaseException)}
    tree = page.partition("```text\n")[2].partition("```")[0]
    parents: list[str] = []
    for line in tree.splitlines():
        found = re.match(r"([│├└─ ]*)(\w+)", line)
        assert found is not None
        depth = len(found[1]) // 4
        parents[depth:] = [found[2]]
        assert [kind.__name__ for kind in public[found[2]].__mro__ if kind.__name__ in parents] == parents[::-1]
    assert set(re.findall(r"^[│├└─ ]*(\w+)", tree, re.MULTILINE)) == errors
    table = page.partition("## When, and what to do")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(errors)


def test_the_table_of_options_has_each_with_its_default() -> None:
    page = (DOCS / "reference/client.md").read_text(encoding="utf-8").partition("## The environment")[0]
    told = dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \|", page, re.MULTILINE))
    package = relaydance_async
    client = inspect.signature(package.AsyncRelayDance).parameters.values()
    options = {p.name: p.default for p in client if p.kind is p.KEYWORD_ONLY}
    values = {"api_key": None, **options}
    for kind in (package.Timeout, package.RetryPolicy, package.Limits):
        values |= {f"{kind.__name__}.{one.name}": getattr(kind(), one.name) for one in dataclasses.fields(kind)}
    shown = {"timeout": "`Timeout()`", "retry": "`RetryPolicy()`", "transport": '`"auto"`'}
    assert told == {name: shown.get(name, str(value)) for name, value in values.items()}
    assert values["timeout"] == package.Timeout()
    assert values["retry"] == package.RetryPolicy()
    assert values["transport"] == "auto"


def test_the_table_of_options_says_which_a_view_has() -> None:
    page = (DOCS / "reference/client.md").read_text(encoding="utf-8").partition("## The environment")[0]
    marked = set(re.findall(r"^\| `(\w+)` \| [^|]+ \| yes \|", page, re.MULTILINE))
    view = inspect.signature(relaydance_async.AsyncRelayDance.with_options).parameters
    assert marked == set(view) - {"self", "priority"}


def test_a_how_to_is_short() -> None:
    lengths = {page.name: len(page.read_text(encoding="utf-8").splitlines()) for page in DOCS.glob("how-to/*.md")}
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_site_shows_each_page_and_how_tos_are_apart() -> None:
    text = (ROOT / ".mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    shown = re.findall(r": (\S+\.md)$", text, re.MULTILINE)
    assert sorted(shown) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
    how_to = re.findall(r": (\S+\.md)$", text.partition("  - How to:\n")[2].partition("\n  - ")[0], re.MULTILINE)
    assert sorted(how_to) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.glob("how-to/*.md"))


def test_no_page_takes_anything_from_elsewhere() -> None:
    """Pictures and scripts are the site's own: it reads without a network."""
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"!\[[^\]]*\]\(https?:|<(script|img|link|iframe)\b", text), page


def test_the_workflows_name_sessions_that_exist() -> None:
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE))
    workflow = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"nox -s (\w+)", workflow))
    matrix = re.search(r"session: \[([^\]]+)\]", workflow)
    assert matrix is not None
    assert named | set(matrix[1].split(", ")) <= sessions


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{'word ' * 31}.", ["page.md: 31 words", "page.md: sentences have 31.0"]),
        (f"{'word ' * 15}. `Code` begins the next. {'Word ' * 15}.", []),
        (f"```python\n{'word ' * 40}\n```\n", []),
        (f"| {'word ' * 20}| {'word ' * 11}|\n| --- | --- |\n", []),
        (f"- {'word ' * 16}\n- {'word ' * 16}\n", []),
        (f"- {'word ' * 16}\n  {'word ' * 16}\n", ["page.md: 32 words", "page.md: sentences have 32.0"]),
        (f"[{'word ' * 3}]({'x' * 99}) {'word ' * 12}.", []),
    ],
)
def test_a_sentence_that_is_too_long_is_found(text: str, found: list[str]) -> None:
    told = list(complaints(Path("page.md"), text))
    assert [line[: len(start)] for line, start in zip(told, found, strict=True)] == found
