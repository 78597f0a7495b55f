"""One meaning on all faces: what is an answer, and what is none (tests/transports/answers/vectors.py)."""

from __future__ import annotations

import pytest

from relaydance_async._transports import Transport
from tests.transports.answers.play import differences
from tests.transports.answers.vectors import VECTORS, Vector
from tests.transports.conftest import OURS
from tests.transports.support import over_every_transport

pytestmark = over_every_transport


@pytest.mark.parametrize("kind", OURS)
async def test_every_answer_is_taken_or_refused_as_the_table_says(
    transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    assert await differences(transport, VECTORS) == {}
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_the_table_is_really_asked(transport: Transport) -> None:
    """A row that says the opposite is found."""
    good, bad = VECTORS["the status line: plain"], VECTORS["the status line: SSH"]
    lies = {
        "refused": Vector("", good.sent, None, ""),
        "taken": Vector("", bad.sent, (200, b"ok"), ""),
        "another body": Vector("", good.sent, (200, b"no"), ""),
        "not kept": Vector("", good.sent, good.taken, "", kept=False),
        "hung": Vector("", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", None, ""),
    }
    assert set(await differences(transport, lies)) == set(lies)
