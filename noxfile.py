"""The project's tasks. `nox -l` lists them; what follows `--` goes to the program that a session runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
# One more than there are processors: most of a test's time is waiting. A file's tests stay together, so that what they
# start is started once.
IN_PARALLEL = ("-n", str((os.cpu_count() or 1) + 1), "--dist", "loadfile")
# What takes longest, and is hardly another on another Python: a third of the time.
LONG = [
    *("tests/batch", "tests/abroad/test_killed_gateway.py", "tests/journal/test_crash_points.py"),
    *("tests/journal/test_killed_job.py", "tests/limits/test_simulated.py", "tests/limits/test_stores.py"),
    "tests/test_docs_code.py",
]
WORKFLOWS = sorted(Path(".github/workflows").glob("*.yml"))
EXTRAS = "[fast,sandbox,cli,postgres,parquet,redis,otel]"


def works(command: str | Path, version: str) -> bool:
    """Whether `command` starts this Python: one of pyenv's shims can be on PATH and start nothing."""
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([command, "-c", probe], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def installed(version: str) -> bool:
    """Whether nox can start this Python: it runs nox, is on PATH, or pyenv has it (whose directory joins PATH)."""
    if "{}.{}".format(*sys.version_info) == version:
        return True
    if (found := shutil.which(f"python{version}")) and works(found, version):
        return True
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for command in pyenv.glob(f"versions/{version}.*/bin/python{version}"):
        if works(command, version):
            os.environ["PATH"] = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
            return True
    return False


PYTHONS = [version for version in SUPPORTED if installed(version)]
OLDEST = PYTHONS[0] if PYTHONS else SUPPORTED[0]


def install(session: nox.Session, *groups: str) -> None:
    """Installs the working copy with its extras and these dependency groups."""
    session.install("-e", f".{EXTRAS}", *nox.project.dependency_groups(PYPROJECT, *groups))


def resolve(session: nox.Session, resolution: str) -> Path:
    """A requirements file of all dependencies, extras included, as uv resolves them for the session's Python."""
    versions = Path(session.create_tmp()) / f"{resolution}.txt"
    session.run(
        *("uv", "pip", "compile", "--quiet", "--upgrade", "--resolution", resolution, "--all-extras"),
        *("--python", str(Path(session.bin) / "python"), "--output-file", str(versions), "pyproject.toml"),
        silent=True,
    )
    return versions


@nox.session
def demo(session: nox.Session) -> None:
    """Shows the whole client at work against the sandbox."""
    session.install("-e", ".[sandbox,cli]")
    session.run("python", "-m", "relaydance_async.cli", "demo", *session.posargs)


# The oldest comes last, so that the summary that ends the output is the fullest.
@nox.session(python=PYTHONS[::-1])
def tests(session: nox.Session) -> None:
    """Runs the tests on each installed Python, all of them on the oldest, with what tests/test_static.py checks."""
    is_oldest = session.python == OLDEST
    install(session, "test", *(["lint", "types", "bench", "docs"] if is_oldest else []))
    chosen = session.posargs or ([] if is_oldest else [f"--ignore={path}" for path in LONG])
    session.run("pytest", *IN_PARALLEL, *chosen)


@nox.session
def lint(session: nox.Session) -> None:
    """Checks style and formatting, the workflows, and that the documents are in short sentences."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("python", "-m", "tests.prose")
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS))


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """Checks the types with mypy and pyright, and that the public surface is typed to 100 %."""
    install(session, "test", "types", "bench")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "relaydance_async", "--ignoreexternal")


@nox.session(python=OLDEST)
def docs(session: nox.Session) -> None:
    """Builds the site of the documents into site/; a link or an anchor that leads nowhere is an error."""
    install(session, "docs")
    session.run("zensical", "build", "--config-file", ".mkdocs.yml", "--clean", "--strict")


@nox.session
def limits(session: nox.Session) -> None:
    """Runs the limiter against all kinds of limits in virtual time; writes docs/limits.md (`-- --rows TEXT` prints)."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks.limits", *session.posargs)


@nox.session(python=OLDEST)
def mindeps(session: nox.Session) -> None:
    """Runs the tests with the lowest versions that pyproject.toml allows."""
    session.install("uv")
    lowest = resolve(session, "lowest-direct")
    # The tools of the tests are the newest that go with these. Of Taskiq's broker none goes with so old a Redis client.
    test = [tool for tool in nox.project.dependency_groups(PYPROJECT, "test") if not tool.startswith("taskiq-redis")]
    session.run(
        *("uv", "pip", "install", "--python", str(Path(session.bin) / "python"), "--constraint", str(lowest)),
        *("--editable", f".{EXTRAS}", *test),
    )
    session.run("pytest", *session.posargs)


@nox.session(python=OLDEST)
def audit(session: nox.Session) -> None:
    """Looks for known holes in the dependencies: the lowest versions that pyproject.toml allows, and the newest.

    It asks the index's advisories; `-- -s osv` asks those of OSV. A version that can't be looked up is a failure too.
    """
    session.install("uv", "pip-audit")
    for resolution in ("lowest-direct", "highest"):
        versions = resolve(session, resolution)
        # They are resolved already, for this Python: pip has nothing to add.
        session.run(
            *("pip-audit", "--strict", "--no-deps", "--disable-pip", "--requirement", str(versions)), *session.posargs
        )


@nox.session(reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Builds the sdist and from it the wheel, and tests the installed wheel where the source cannot be imported."""
    tmp = Path(session.create_tmp()).resolve()
    shutil.rmtree(tmp, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(tmp), silent=True)
    (built,) = tmp.glob("*.whl")
    (sdist,) = tmp.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp, filter="data")
    source = tmp / re.sub(r"\.tar\.gz$", "", sdist.name)
    shutil.rmtree(source / "relaydance_async")
    session.chdir(source)
    # Without the extras the client imports, and the pytest plugin is in nobody's way.
    session.install(str(built), "pytest")
    session.run("python", "-W", "error", "-c", "import relaydance_async")
    session.run("pytest", "--noconftest", "--collect-only", "--quiet", "tests/test_architecture.py", silent=True)
    session.install(f"{built}{EXTRAS}", *nox.project.dependency_groups(PYPROJECT, "test"))
    session.run("pytest", *session.posargs)


@nox.session
def torture(session: nox.Session) -> None:
    """Runs the long, seeded torture suite on both event loops."""
    install(session, "test")
    for loop in ("asyncio", "uvloop"):
        session.run("pytest", "-m", "torture", "--loop", loop, *session.posargs)


@nox.session(python=OLDEST)
def fuzz(session: nox.Session) -> None:
    """Fuzzes the parsers, guided by coverage: a million inputs for each, about half an hour on one core."""
    install(session, "test", "fuzz")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session(python=OLDEST)
def vectors(session: nox.Session) -> None:
    """Compares us with llhttp on its own response vectors, in the directory that follows `--`: its `test/response`."""
    install(session, "test")
    session.run("python", "-m", "tests.transports.answers.llhttp", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Makes 300,000 requests and 10,000 waits in one process. It must hold no more after them than before."""
    install(session, "test")
    session.run("pytest", "-m", "soak", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measures the client against its peers: all of it and the README's picture, or what is named."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks", *(session.posargs or ("--full", "--plot", "docs/cpu-per-request.png")))
