"""How many waits a process has under way."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack

import pytest

from relaydance_async._polling import ACTIVE_WAITS, ActiveWaits


def test_a_wait_counts_while_it_is_entered_however_it_ends() -> None:
    waits = ActiveWaits()
    with waits.one_more(), waits.one_more():
        assert len(waits) == 2
    with pytest.raises(LookupError), waits.one_more():
        raise LookupError
    assert len(waits) == 0


def test_threads_count_together() -> None:
    waits = ActiveWaits()
    all_in, counted = threading.Barrier(9), threading.Barrier(9)

    def wait_often() -> None:
        with ExitStack() as stack:
            for _ in range(1000):
                stack.enter_context(waits.one_more())
            all_in.wait(20)
            counted.wait(20)

    threads = [threading.Thread(target=wait_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    all_in.wait(20)
    assert len(waits) == 8000
    counted.wait(20)
    for thread in threads:
        thread.join()
    assert len(waits) == 0


def test_waits_of_a_parent_that_end_in_its_child_count_nothing_down() -> None:
    waits = ActiveWaits()
    with ExitStack() as parents:
        parents.enter_context(waits.one_more())
        waits.begin_anew()
        with waits.one_more():
            parents.close()
            assert len(waits) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_counts_from_0() -> None:
    with ACTIVE_WAITS.one_more():
        pid = os.fork()
        if not pid:
            os._exit(len(ACTIVE_WAITS))
        assert os.waitpid(pid, 0)[1] == 0
        assert len(ACTIVE_WAITS) == 1
