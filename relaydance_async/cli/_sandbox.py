"""`relaydance sandbox`: a RelayDance on this machine."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from ._exits import CannotBeginError

sandbox = App(name="sandbox", help_flags=(), version_flags=())
"""What can be typed after it is the sandbox's own matter, --help included."""


@sandbox.default
def run(*options: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]) -> int:
    """Run a RelayDance on this machine, until Ctrl-C. It needs no key and costs nothing."""
    try:
        from ..sandbox.__main__ import main
    except ImportError as error:
        raise CannotBeginError(str(error)) from None
    try:
        return main(options, prog="relaydance sandbox")
    except SystemExit as error:  # of argparse: it has said why
        return int(error.code or 0)
