"""The pytest plugin: a `relaydance_sandbox` fixture.

Registered through an entry point, so it is loaded in every run of whoever installs the package: it imports nothing
heavy until the fixture is asked for.

    @pytest.mark.relaydance_sandbox(dialect="documented", time_scale=100)
    async def test_it(relaydance_sandbox): ...  # relaydance_sandbox.base_url, .api_key, .ledger
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import Sandbox

MARKER = "relaydance_sandbox"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}(**options): options of the relaydance_sandbox fixture, as for Sandbox(...)"
    )


@pytest.fixture
def relaydance_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A running `Sandbox`, with the options of the marker of the same name."""
    from . import Sandbox

    options: dict[str, object] = {}
    # The closest marker comes first and wins over the class's and the module's.
    for marker in reversed(list(request.node.iter_markers(MARKER))):
        options.update(marker.kwargs)
    with Sandbox(**options) as sandbox:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        yield sandbox
