"""What a test run has started ends with it, also when it is killed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.processes.support import ROOT

TEST_RUN = """
import subprocess, time
from tests.kit.guard import guarded

with guarded(subprocess.Popen(["sleep", "60"])):
    print("begun", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no such kills")
def test_a_server_ends_with_a_test_run_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", TEST_RUN], cwd=ROOT, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"begun\n"
        run.kill()
        run.communicate(timeout=20)  # until nobody has its output any more: the server had it too
