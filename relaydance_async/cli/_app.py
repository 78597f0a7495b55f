"""What can be typed. Each command is in a module of its own, which is imported when it is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

from .. import __version__
from ._exits import CannotBeginError, options_in
from ._profiles import Form
from ._session import Here, Session

app = App(
    name="relaydance",
    help="The command line of relaydance-async.",
    version=__version__,
    result_action="return_value",
    help_on_error=False,
    default_parameter=Parameter(negative=()),
)
_VALUED = ("--output", "--profile", "--base-url")
_VALUED_SO = tuple(f"{name}=" for name in _VALUED)
_EVERYWHERE = Group("For every command", sort_key=9)
_ROOM = __name__.rpartition(".")[0]
for _name, _place, _help in (
    ("chat", "_chat:chat", "Ask a question, or talk."),
    ("image", "_image:image", "Make pictures, and save them."),
    ("video", "_video:video", "Make clips, wait for them, save them."),
    ("files", "_files:files", "Files for clips to refer to."),
    ("batch", "batch._app:batch", "Make what a file asks for, each row once: clips, images, chats."),
    ("models", "_account:models", "Show the models that the key can use."),
    ("balance", "_account:balance", "Show what is left to spend."),
    ("logs", "_account:logs", "Show the key's own books: charges, errors and refunds."),
    ("limits", "_account:limits", "Show what is known of the key's limits."),
    ("raw", "_raw:raw", "Ask any endpoint of the API."),
    ("doctor", "_doctor:doctor", "Find out what doesn't work, and what to do about it."),
    ("login", "_login:login", "Keep a key on this machine."),
    (
        "sandbox",
        "_sandbox:sandbox",
        "Run a RelayDance on this machine. It needs no key and costs nothing.",
    ),
):
    app.command(f"{_ROOM}.{_place}", name=_name, help=_help)
app.register_install_completion_command()  # pyright: ignore[reportUnknownMemberType]


def start(tokens: Sequence[str]) -> Any:
    """Run what was typed; what the command gives.

    Raises:
        CycloptsError: it can't be understood.
        CannotBeginError: a key was typed.
    """
    for option in options_in(tokens):
        if option.partition("=")[0] in ("--api-key", "--key", "--token"):
            raise CannotBeginError(
                "the key is never typed: other users see it in the list of processes. Set RELAYDANCE_API_KEY, or keep "
                "it with `relaydance login`"
            )
    if tokens and tokens[0] == "sandbox":  # its options are its own, `--help` too
        return app(tokens, exit_on_error=False, print_error=False)
    return app.meta(_everywhere_first(tokens), exit_on_error=False, print_error=False)


def _everywhere_first(tokens: Sequence[str]) -> list[str]:
    """With what holds for all commands in front. Behind it, a command that takes `-` would take it for a file."""
    options = iter(options_in(tokens))
    first: list[str] = []
    others: list[str] = []
    for token in options:
        if token in _VALUED and (value := next(options, None)) is not None:
            first += [token, value]
        elif token == "--debug" or token.startswith(_VALUED_SO):
            first.append(token)
        else:
            others.append(token)
    return [*first, *others, *tokens[len(options_in(tokens)) :]]


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    output: Annotated[Form | None, Parameter(group=_EVERYWHERE)] = None,
    profile: Annotated[str | None, Parameter(group=_EVERYWHERE)] = None,
    base_url: Annotated[str | None, Parameter(group=_EVERYWHERE)] = None,
    debug: Annotated[bool, Parameter(group=_EVERYWHERE)] = False,
) -> Any:
    """Run a command with what holds for all of them.

    Args:
        output: how results are shown (default: table).
        profile: a part of ~/.config/relaydance/config.toml.
        base_url: of the API (default: RELAYDANCE_BASE_URL, the profile's, or https://relaydance.com/v1).
        debug: show where in the program an error comes from.
    """
    command, bound, injected = app.parse_args(tokens, exit_on_error=False, print_error=False)
    session = Session(profile, base_url, output)
    return command(*bound.args, **bound.kwargs, **dict.fromkeys(injected, session))


@app.command
def demo(
    *,
    clips: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    seed: int = 7,
    out: Path | None = None,
    live: bool = False,
    yes: bool = False,
    session: Here,
) -> int:
    """Show the whole client at work: models, an upload, a streamed chat, images, and many clips at once.

    By default against a sandbox on this machine that limits the rate and fails on purpose; with --live against
    RelayDance.

    Args:
        clips: to submit at once (default: 200; live: 2).
        seed: of what goes wrong.
        out: a directory to keep the clips in (default: they are thrown away).
        live: use the real service; costs money.
        yes: with --live: don't ask before spending money.
    """
    from ._demo import run_demo

    return run_demo(clips, seed, None if out is None else str(out), live=live, yes=yes, session=session)
