"""What can be typed: the commands and their options. What they do is imported when one is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from .. import __version__
from .batch._app import batch

app = App(
    name="relaydance",
    help="The command line of relaydance-async.",
    version=__version__,
    result_action="return_value",
    help_on_error=False,
    default_parameter=Parameter(negative=()),
)
app.command(batch)
app.register_install_completion_command()  # pyright: ignore[reportUnknownMemberType]


@app.command
def demo(
    *,
    clips: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    seed: int = 7,
    output: Path | None = None,
    live: bool = False,
    yes: bool = False,
) -> int:
    """Show the whole client at work: models, an upload, a streamed chat, images, and many clips at once.

    By default against a sandbox on this machine that limits the rate and fails on purpose; with --live against
    RelayDance.

    Args:
        clips: to submit at once (default: 200; live: 2).
        seed: of what goes wrong.
        output: a directory to keep the clips in (default: they are thrown away).
        live: use the real service, with RELAYDANCE_API_KEY; costs money.
        yes: with --live: don't ask before spending money.
    """
    from ._demo import run_demo

    return run_demo(clips, seed, None if output is None else str(output), live=live, yes=yes)
