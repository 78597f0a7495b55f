"""The sandbox from outside: its own routes, its command, its pytest fixture."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import relaydance_async.sandbox as package
from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript
from relaydance_async.sandbox.__main__ import main
from tests.kit.routes import MODELS, SUBMIT
from tests.processes.support import complaints, start_program, strict_python
from tests.sandbox.support import Starter

pytest_plugins = ["pytester"]

ROOT = Path(package.__file__).parents[2]


def test_the_ledger_is_readable_over_http(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(0, 1, "failed")), time_scale=0)
    caller.submit()
    caller.sandbox.clock.advance(1)
    body = caller.http.get(f"{caller.sandbox.root_url}/_sandbox/ledger").json()
    assert body["routes"][SUBMIT] == {"count": 1, "accepted": 1, "billed": 1, "duplicates": 0}
    assert (body["charged_usd"], body["refunded_usd"], body["cdn_authorizations"]) == (0.5, 0.5, 0)
    assert body["entries"][0]["route"] == SUBMIT
    assert body["charges"][1]["reason"] == "refund"


def test_tasks_and_clock_are_reachable_over_http(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(10, 10, "failed", "no")), time_scale=0)
    task_id = caller.submitted()
    root = f"{caller.sandbox.root_url}/_sandbox"
    (task,) = caller.http.get(f"{root}/tasks").json()["tasks"]
    assert (task["task_id"], task["phase"], task["reason"]) == (task_id, "queued", None)
    now = caller.http.post(f"{root}/clock", json={"advance": 20}).json()["now"]
    assert now == caller.sandbox.clock.now()
    (task,) = caller.http.get(f"{root}/tasks").json()["tasks"]
    assert (task["phase"], task["reason"], task["progress"]) == ("failed", "no", 100)


def test_faults_are_set_and_cleared_over_http(start: Starter) -> None:
    caller = start()
    url = f"{caller.sandbox.root_url}/_sandbox/faults"
    assert caller.http.post(url, json={"route": MODELS, "status": 503, "at": [1]}).status_code == 200
    assert caller.http.post(url, json=[{"route": MODELS, "status": 500, "at": 2}]).status_code == 200
    assert [caller.models().status_code for _ in range(3)] == [503, 500, 200]
    assert caller.http.post(url, json={"route": MODELS, "status": 503}).json()["fired"]
    caller.http.post(url, json={"clear": True})
    assert caller.models().status_code == 200


def test_everything_is_reset_over_http(start: Starter) -> None:
    caller = start()
    caller.submit()
    caller.http.post(f"{caller.sandbox.root_url}/_sandbox/reset")
    assert caller.sandbox.ledger.count() == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", b'{"rout": "*"}'),
        ("faults", b"3"),
        ("clock", b'{"advance": -1}'),
        ("clock", b"{"),
        ("clock", b'{"advance": []}'),
    ],
)
def test_nonsense_to_the_sandbox_routes_is_a_400(start: Starter, path: str, body: bytes) -> None:
    caller = start()
    answer = caller.http.post(f"{caller.sandbox.root_url}/_sandbox/{path}", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_an_unknown_sandbox_route_lists_the_known(start: Starter) -> None:
    caller = start()
    answer = caller.http.get(f"{caller.sandbox.root_url}/_sandbox/what")
    assert answer.status_code == 404
    assert "GET /_sandbox/ledger" in answer.json()["routes"]


@contextmanager
def command(*arguments: str) -> Generator[subprocess.Popen[str], None, None]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = start_program(strict_python("-m", "relaydance_async.sandbox", "--port", "0", *arguments), env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_is_and_ends_cleanly(number: signal.Signals) -> None:
    fault = json.dumps({"route": MODELS, "status": 503, "at": [1]})
    options = ["--dialect", "documented", "--fault", fault, "--rate", "0.001", "--burst", "2", "--retry-after", "ms"]
    with command(*options) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        exports = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines[1:3])
        headers = {"authorization": f"Bearer {exports['RELAYDANCE_API_KEY']}"}
        url = exports["RELAYDANCE_BASE_URL"] + "/models"
        answers = [httpx.get(url, headers=headers, trust_env=False, verify=False) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [503, 200, 429]
        assert "retry-after-ms" in answers[2].headers
        assert "(documented)" in lines[0]
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, complaints(errors)) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [["--fault", "{"], ["--fault", '{"x": 1}'], ["--rate", "0"], ["--time-scale", "nan"], ["--dialect", "x"]],
)
def test_the_command_refuses_nonsense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--port", "0", *arguments])
    assert exit_.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_the_command_says_when_its_port_is_taken() -> None:
    with Sandbox() as sandbox, command("--cdn-port", sandbox.root_url.rsplit(":", 1)[1]) as process:
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "cannot listen" in errors


PLUGIN = ["-p", "no:cacheprovider", "-p", "relaydance_async.pytest_plugin"]


@pytest.fixture
def apart(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A pytest run that has this plugin and no other, whatever is installed here."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester


def test_the_fixture_gives_a_running_sandbox_with_the_markers_options(apart: pytest.Pytester) -> None:
    apart.makepyfile(
        """
        import httpx, pytest

        pytestmark = pytest.mark.relaydance_sandbox(seed=5, dialect="documented")

        def ask(sandbox):
            headers = {"authorization": f"Bearer {sandbox.api_key}"}
            return httpx.get(sandbox.base_url + "/models", headers=headers, trust_env=False, verify=False)

        def test_options_of_the_module(relaydance_sandbox):
            assert relaydance_sandbox.dialect == "documented"
            assert ask(relaydance_sandbox).status_code == 200
            assert relaydance_sandbox.ledger.count() == 1

        @pytest.mark.relaydance_sandbox(dialect="gateway")
        def test_the_closest_marker_wins(relaydance_sandbox):
            assert relaydance_sandbox.dialect == "gateway"
            assert relaydance_sandbox.ledger.count() == 0
        """
    )
    result = apart.runpytest_subprocess(*PLUGIN, "--strict-markers", "-W", "error")
    result.assert_outcomes(passed=2)


def test_the_plugin_loads_nothing_heavy_until_it_is_used(apart: pytest.Pytester) -> None:
    apart.makepyfile(
        """
        import sys

        def test_it():
            assert "relaydance_async.pytest_plugin" in sys.modules
            for heavy in ("starlette", "uvicorn", "python_multipart", "relaydance_async.sandbox._sandbox"):
                assert heavy not in sys.modules, heavy
        """
    )
    apart.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


def test_a_client_in_a_test_needs_no_arguments_and_waits_as_fast_as_the_sandbox(apart: pytest.Pytester) -> None:
    apart.makepyfile(
        """
        import os, time
        import pytest
        from relaydance_async import AsyncRelayDance

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        CLIP = {"model": "grok-imagine-video", "prompt": "A boat", "seconds": 5}

        @pytest.mark.anyio
        @pytest.mark.relaydance_sandbox(time_scale=1000)
        async def test_a_clip(relaydance_client, relaydance_sandbox):
            began = time.monotonic()
            await relaydance_client.video.generate(**CLIP)
            assert time.monotonic() - began < 5  # the clip takes a minute of the sandbox's time
            assert relaydance_sandbox.ledger.billed("POST /v1/video/generations") == 1
            assert relaydance_sandbox.api_key == os.environ["RELAYDANCE_API_KEY"]
            async with AsyncRelayDance() as client:
                assert len(await client.models.list()) > 1

        def test_the_environment_is_as_it_was(request):
            assert "RELAYDANCE_API_KEY" not in os.environ
        """
    )
    apart.runpytest_subprocess(
        *PLUGIN, "-p", "anyio", "-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning"
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize("at_import", [True, False])
def test_a_sandbox_for_the_whole_run(apart: pytest.Pytester, at_import: bool) -> None:
    apart.makeini(f"[pytest]\nrelaydance_sandbox_at_import = {at_import}\nrelaydance_sandbox_time_scale = 500")
    apart.makepyfile(
        app="""
        from relaydance_async import AsyncRelayDance

        client = AsyncRelayDance()
        """,
        test_app="""
        import app
        import asyncio, os

        async def models():
            return len(await app.client.models.list())

        def test_first(relaydance_sandbox_session):
            assert relaydance_sandbox_session.clock.scale == 500
            assert os.environ["RELAYDANCE_BASE_URL"] == relaydance_sandbox_session.base_url

        def test_second(relaydance_sandbox_session):
            relaydance_sandbox_session.reset()
            assert app.client.base_url == relaydance_sandbox_session.base_url
            assert asyncio.run(models()) > 1
            assert relaydance_sandbox_session.ledger.count() == 1
        """,
    )
    result = apart.runpytest_subprocess(*PLUGIN, "-W", "error")
    result.assert_outcomes(passed=2 if at_import else 1, failed=0 if at_import else 1)


def test_the_tests_that_the_documents_show_pass(apart: pytest.Pytester) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/tests.md").read_text(encoding="utf-8")
    apart.makepyfile("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    result = apart.runpytest_subprocess("-p", "anyio", *PLUGIN, "-W", "error")
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize(("scale", "at_import"), [("fast", False), ("fast", True), ("-1", True)])
def test_a_time_scale_that_is_none_is_told_in_a_line(apart: pytest.Pytester, scale: str, at_import: bool) -> None:
    apart.makeini(f"[pytest]\nrelaydance_sandbox_at_import = {at_import}\nrelaydance_sandbox_time_scale = {scale}")
    result = apart.runpytest_subprocess(*PLUGIN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: relaydance_sandbox_time_scale: *"])
    assert "Traceback" not in result.stderr.str()
