"""The direction of imports: a module imports only from layers below its own.

LAYERS is the whole rule for our own modules, LIBRARIES and IMPURE for everyone else's. The test reads the source, so
imports under TYPE_CHECKING and inside functions count as well. A new file belongs in one of these rooms; a new room
gets its line here.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "relaydance_async"

LAYERS: dict[str, int] = {
    "_version": 0,
    "_keylike": 0,
    "models": 0,
    "errors": 1,
    "_errand": 1,
    "_threads": 1,
    "_timers": 1,
    "_memory": 1,
    "_callbacks": 1,
    "_sansio": 2,
    "_config": 3,
    "_engine": 3,
    "_limits": 3,
    "_hooks": 3,
    "_polling": 3,
    "journal": 3,
    "fanout": 3,
    "_transports": 4,
    "_runtime": 5,
    "_call": 6,
    "resources": 7,
    "_client": 8,
    "_blocking": 8,
    "__init__": 9,
    "__main__": 9,
    "hooks": 9,
    "types": 9,
    "webhooks": 9,
    "pytest_plugin": 9,
    "cli": 10,
}
ISLAND = "sandbox"
STARTERS = ("cli", "pytest_plugin")
"""What may start it."""

# A room that is part of some endpoints, which alone may import it.
PARTS: dict[str, set[str]] = {"download": {"video", "images", "assets", "_streamed_response", "videos"}}

# Where a library may be imported. The sandbox, being a program of its own, chooses freely.
LIBRARIES: dict[str, frozenset[str]] = {
    "httpx": frozenset({"_transports"}),
    "httpx2": frozenset({"_transports"}),
    "httpcore": frozenset(),
    "httpx_aiohttp": frozenset(),
    "aiohttp": frozenset(),
    "httptools": frozenset({"_engine"}),
    "h11": frozenset({"_engine"}),
    "certifi": frozenset({"_engine"}),
    "redis": frozenset({"_limits"}),
    "opentelemetry": frozenset({"_hooks"}),
    "tenacity": frozenset({"_call"}),
    "rich": frozenset({"cli"}),
    "cyclopts": frozenset({"cli"}),
    "filelock": frozenset({"cli"}),
    "pyarrow": frozenset({"cli"}),
    "keyring": frozenset({"cli"}),
    "starlette": frozenset({"webhooks"}),
    "fastapi": frozenset({"webhooks"}),
    "uvicorn": frozenset(),
    "sqlite3": frozenset({"journal"}),
    "psycopg": frozenset({"journal"}),
    "psycopg_pool": frozenset({"journal"}),
}

# What `_sansio` may not import: there, the clock and the randomness are arguments, and nothing reads, writes or waits.
PURE = "_sansio"
IMPURE = frozenset({"asyncio", "anyio", "trio", "threading", "subprocess", "socket", "ssl"}) | frozenset(
    {"time", "random", "secrets", "os", "logging", "tenacity"}
)
CLOCKS = frozenset({"now", "utcnow", "today"})


@dataclass(frozen=True)
class Import:
    target: str  # dotted, e.g. "relaydance_async.models.chat" or "httpx"
    line: int
    lazy: bool  # inside a function


class Tree:
    """The modules of one package, by dotted name."""

    def __init__(self, root: Path) -> None:
        self.name = root.name
        self.files = {self._dotted(root, file): file for file in sorted(root.rglob("*.py"))}

    @staticmethod
    def _dotted(root: Path, file: Path) -> str:
        parts = [root.name, *file.relative_to(root).with_suffix("").parts]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def room(self, module: str) -> str:
        """The first name below the package; the package's own `__init__.py` is a room too."""
        _, _, below = module.partition(".")
        return below.partition(".")[0] or "__init__"

    def owns(self, module: str) -> bool:
        return module.partition(".")[0] == self.name

    def _has(self, module: str) -> bool:
        return any(f"{name}.".startswith(f"{module}.") for name in self.files)

    def imports(self, module: str) -> Iterator[Import]:
        file = self.files[module]
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        yield from self._walk(ast.parse(file.read_text(encoding="utf-8")), package, lazy=False)

    def _walk(self, node: ast.AST, package: str, *, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Import():
                    for alias in child.names:
                        yield Import(alias.name, child.lineno, lazy)
                case ast.ImportFrom():
                    up = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
                    base = ".".join([*up, *([child.module] if child.module else [])])
                    for alias in child.names:
                        # `from package import module` is an import of the module.
                        member = f"{base}.{alias.name}"
                        yield Import(member if self._has(member) else base, child.lineno, lazy)
                case ast.Call(
                    func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                    args=[ast.Constant(value=str(target)), *_],
                ):
                    yield Import(target, child.lineno, lazy)
                case _:
                    pass
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_for_types(child)
            yield from self._walk(child, package, lazy=lazy or inside)


def violations(root: Path) -> list[str]:
    """Every import of the package at `root` that goes the wrong way, as `file:line: why`."""
    tree = Tree(root)
    found: list[str] = []
    for module, file in tree.files.items():
        room = tree.room(module)
        where = file.relative_to(root.parent).as_posix()
        if room != ISLAND and room not in LAYERS:
            found.append(f"{where}: is in no known room; the rooms are LAYERS in tests/{Path(__file__).name}")
            continue
        for imported in tree.imports(module):
            why = _own(tree, module, imported) if tree.owns(imported.target) else _foreign(room, imported)
            if why:
                found.append(f"{where}:{imported.line}: {why}")
        if room == PURE:
            found += [f"{where}:{line}: {PURE} reads a clock; take the time as an argument" for line in _clocks(file)]
    return found


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _own(tree: Tree, module: str, imported: Import) -> str | None:
    """Why this import of one of our modules is wrong, or None."""
    room, target = tree.room(module), tree.room(imported.target)
    if ISLAND in (room, target):
        if room == target:
            return None
        if room == ISLAND:
            return f"the {ISLAND} is an island and imports nothing of the client ({imported.target})"
        if room not in STARTERS:
            return f"only {' and '.join(STARTERS)} may import the {ISLAND}"
        return None if imported.lazy else f"{room} imports the {ISLAND} lazily, inside the function that starts it"
    if target not in LAYERS:
        return f"imports {imported.target}, which is in no known room"
    if room == target:
        return _sibling(module, imported) if room == "resources" else None
    if LAYERS[target] < LAYERS[room]:
        return None
    return f"{room} (layer {LAYERS[room]}) imports {target} (layer {LAYERS[target]}), which is not below it"


def _sibling(module: str, imported: Import) -> str | None:
    """Endpoints know nothing of each other; what they share is in private modules, and `__init__` gathers them."""
    own, target = module.split(".")[2:], imported.target.split(".")[2:]
    if not own or (target and (target[0].startswith("_") or target[0] == own[0])):
        return None
    if target and own[0] in PARTS.get(target[0], set()):
        return None
    return f"the resource {own[0]} imports its sibling {'.'.join(target) or imported.target}"


def _foreign(room: str, imported: Import) -> str | None:
    """Why this import of someone else's module is wrong, or None."""
    library = imported.target.partition(".")[0]
    if room == PURE and library in IMPURE:
        return f"{PURE} imports {library}; clock, randomness and I/O are arguments"
    if room != ISLAND and library in LIBRARIES and room not in LIBRARIES[library]:
        homes = " or ".join(sorted(LIBRARIES[library])) or "the sandbox"
        return f"{room} imports {library}, which lives only in {homes}"
    return None


def _clocks(file: Path) -> list[int]:
    """The lines that ask datetime for the present."""
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in CLOCKS]


def installed_package() -> Path:
    """Where the package under test is, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def test_every_module_imports_only_from_the_layers_below_it() -> None:
    found = violations(installed_package())
    assert not found, "\n" + "\n".join(found)


def test_the_picture_of_the_house_is_true() -> None:
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = {
        room: int(floor)
        for floor, names in re.findall(r"^floor (\d+) +(\S+(?: \S+)*)", text, re.MULTILINE)
        for room in names.split()
    }
    rooms = {path.stem for path in installed_package().iterdir() if path.is_dir() or path.suffix == ".py"}
    assert shown == {room: floor for room, floor in LAYERS.items() if room in rooms}


def test_the_files_that_contributing_names_are_there() -> None:
    root = Path(__file__).parents[1]
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`([\w./]+(?:/|\.py|\.md|\.toml))`", text) if "NAME" not in name}
    assert "_limits/_shared.py" in named
    places = root, installed_package(), installed_package().parent
    assert not {name for name in named if not any((place / name).exists() for place in places)}


def test_importing_the_package_loads_no_optional_library_and_no_sandbox() -> None:
    optional = [
        "aiohttp",
        "httptools",
        "redis",
        "opentelemetry",
        "starlette",
        "fastapi",
        "uvicorn",
        "openai",
        f"{PACKAGE}.{ISLAND}",
    ]
    program = f"import {PACKAGE}, sys; print(*[name for name in {optional} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_importing_the_package_loads_nothing_that_many_programs_do_not_use() -> None:
    unused = {
        *("anyio.from_thread", "certifi", "difflib", "h11", "httpx", "sqlite3", "tenacity", "urllib.request"),
        *(f"{PACKAGE}._{name}" for name in ("call.keyed", "call.repeats", "sansio.sharing", "sansio.webhook")),
        *(f"{PACKAGE}.journal.{name}" for name in ("_committer", "_postgres", "_sqlite")),
        *(f"{PACKAGE}.models.{name}" for name in ("files", "images", "journal", "pricing", "references", "video")),
        *(f"{PACKAGE}.resources.{name}" for name in ("_upload", "download", "images", "models", "video")),
    }
    program = f"import {PACKAGE}, sys; print(*sorted({unused} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert all(importlib.util.find_spec(name) is not None for name in unused)


def grow(root: Path, files: dict[str, str]) -> Path:
    """A package made of these files."""
    for name, source in files.items():
        file = root / PACKAGE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    return root / PACKAGE


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("_client.py", "from .resources.video import Video\nfrom . import _call, models"),
        ("_call/call.py", "import tenacity\nfrom .._sansio import decide"),
        ("_transports/pool.py", "import httpx"),
        ("_engine/fast.py", "def make():\n    import httptools"),
        ("_sansio/retry_after.py", "import datetime, json\nfrom ..models import chat\nfrom .. import errors"),
        ("resources/video.py", "from ._base import Resource\nfrom . import _base"),
        ("resources/__init__.py", "from .video import Video"),
        ("resources/chat/completions.py", "from .stream import Stream"),
        ("resources/video.py", "from .download import download_clip"),
        ("cli/__init__.py", "import relaydance_async\ndef demo():\n    from relaydance_async.sandbox import Sandbox"),
        ("sandbox/server.py", "import time, httpx, starlette\nfrom .ledger import Ledger"),
    ],
)
def test_an_import_from_below_is_right(tmp_path: Path, file: str, source: str) -> None:
    others = dict.fromkeys(
        [
            "__init__.py",
            "errors.py",
            "_call/call.py",
            "models/chat.py",
            "resources/_base.py",
            "resources/chat/stream.py",
            "resources/download/__init__.py",
        ],
        "",
    )
    assert violations(grow(tmp_path, {**others, file: source})) == []


@pytest.mark.parametrize(
    ("file", "source", "why"),
    [
        ("models/chat.py", "from ..errors import RelayDanceError", "models (layer 0) imports errors (layer 1)"),
        ("models/chat.py", "from .. import errors", "models (layer 0) imports errors (layer 1)"),
        ("errors.py", "from relaydance_async import AsyncRelayDance", "errors (layer 1) imports __init__ (layer 9)"),
        ("_sansio/a.py", "import relaydance_async._config", "_sansio (layer 2) imports _config (layer 3)"),
        (
            "_limits/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .._transports import Pool",
            "_limits (layer 3) imports _transports (layer 4)",
        ),
        ("_call/call.py", "def f():\n    from .._client import X", "_call (layer 6) imports _client (layer 8)"),
        ("fanout/a.py", "from ..resources.video import Video", "fanout (layer 3) imports resources (layer 7)"),
        ("resources/video.py", "from .files import Files", "the resource video imports its sibling files"),
        ("resources/video.py", "from . import Files", "the resource video imports its sibling"),
        ("resources/files.py", "from .download import x", "the resource files imports its sibling download"),
        ("_sansio/a.py", "import time", "_sansio imports time"),
        ("_sansio/a.py", "from asyncio import sleep", "_sansio imports asyncio"),
        ("_sansio/a.py", "from datetime import datetime\ndatetime.now()", "_sansio reads a clock"),
        ("resources/video.py", "import httpx", "resources imports httpx, which lives only in _transports"),
        ("_limits/a.py", "from tenacity import retry", "_limits imports tenacity, which lives only in _call"),
        ("_client.py", "import importlib\nimportlib.import_module('aiohttp')", "_client imports aiohttp"),
        ("_transports/a.py", "import redis.asyncio", "_transports imports redis, which lives only in _limits"),
        ("_hooks/a.py", "import uvicorn", "_hooks imports uvicorn, which lives only in the sandbox"),
        ("sandbox/a.py", "from ..models import chat", "the sandbox is an island"),
        (
            "_client.py",
            "def f():\n    import relaydance_async.sandbox",
            "only cli and pytest_plugin may import",
        ),
        ("cli/__init__.py", "from relaydance_async.sandbox import Sandbox", "cli imports the sandbox lazily"),
        ("helpers.py", "", "is in no known room; the rooms are LAYERS in tests/test_architecture.py"),
        ("errors.py", "from .helpers import x", "in no known room"),
    ],
)
def test_an_import_the_other_way_is_reported_with_its_place(tmp_path: Path, file: str, source: str, why: str) -> None:
    others = dict.fromkeys(
        ["__init__.py", "errors.py", "models/chat.py", "resources/files.py", "resources/download/__init__.py"], ""
    )
    (found,) = violations(grow(tmp_path, {**others, file: source}))
    place, _, rest = found.partition(": ")
    assert place.startswith(f"{PACKAGE}/{file}")
    assert why in rest
