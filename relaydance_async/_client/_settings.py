"""What a client is told: taken by name, checked, and made into what opens connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from .._config import USER_AGENT, Clock, Secret, checked_headers, hide_key
from .._limits import Book, ForeignAdmission, KeyOutage, Limits, LocalAdmission
from .._runtime import Runtime
from .._sansio.extras import given, is_omitted
from .._sansio.misnamed import refuse_unknown
from .._sansio.observer import Observer
from .._sansio.target import Network
from .._transports import TransportName, build_transport
from ..errors import ConfigurationError

P = ParamSpec("P")
T = TypeVar("T")


_CLOCK = Clock()


def made_with(kind: Callable[P, T], *, clock: Clock = _CLOCK, observers: Sequence[Observer] = ()) -> Callable[P, T]:
    """Clients with what no caller sets: tests do, the sandbox's fixture and the command.

    Args:
        kind: `AsyncRelayDance`, or a class that is derived from it.
        clock: of all its waits.
        observers: of all its calls, besides its hooks.

    Returns:
        What takes the same arguments, and makes a client.
    """
    client_kind: Any = kind

    def make(*args: P.args, **settings: P.kwargs) -> T:
        client: Any = client_kind.__new__(client_kind)
        client._clock, client._observers = clock, tuple(observers)
        client.__init__(*args, **settings)
        made: T = client
        return made

    return make


def taking_settings(method: Callable[P, T]) -> Callable[P, T]:
    """For a method that takes settings: a key is masked, what is `NOT_GIVEN` has its default, and a keyword that it
    doesn't have is refused with what may have been meant. So its signature names what it takes, and nothing else."""
    call: Any = method
    code = call.__code__
    known = frozenset(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])

    @wraps(method)
    def taking(*args: P.args, **kwargs: P.kwargs) -> T:
        own, settings = _masked(args), given(hide_key(kwargs))
        del args, kwargs  # a traceback that shows local variables must find the key masked
        if not known.issuperset(settings):
            refuse_unknown(settings, known, call)
        result: T = call(*own, **settings)
        return result

    return taking


def _masked(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key is the first, after the client itself."""
    if len(args) == 1 or args[1] is None or is_omitted(args[1]):
        return args
    return (args[0], Secret(args[1]), *args[2:])


def check_kinds(journal: object, shared_limits: object, limits: object, flags: Mapping[str, object]) -> None:
    """That each can be what it is given for.

    Raises:
        ConfigurationError: naming the one that can't.
    """
    if journal is not None and not hasattr(journal, "begin"):
        raise ConfigurationError(f"journal must be a journal, such as SqliteJournal, not {type(journal).__name__}")
    if shared_limits is not None and not hasattr(shared_limits, "allowance"):
        kind = type(shared_limits).__name__
        raise ConfigurationError(f"shared_limits must be shared limits, such as RedisLimits, not {kind}")
    if not isinstance(limits, Limits | None):
        kind = type(limits).__name__
        raise ConfigurationError(f"limits must be Limits, such as Limits(requests_per_minute=60), not {kind}")
    for name, flag in flags.items():
        if not isinstance(flag, bool | None):  # the text "false" would count as True
            raise ConfigurationError(f"{name} must be True or False, not {type(flag).__name__}")


def build_headers(extra: Mapping[str, str] | None) -> dict[str, str]:
    """What is sent with every request.

    Raises:
        ConfigurationError: one of a caller's can't be sent.
    """
    return {"accept": "application/json", "user-agent": USER_AGENT, **checked_headers(extra or {})}


def runtime_builder(
    book: Book, permits: int, transport: TransportName, http_client: Any, clock: Clock
) -> Callable[[], Awaitable[Runtime]]:
    """What makes a client ready in an event loop that it has not been in.

    Args:
        book: what is known of the limits, in all loops.
        permits: requests at once in each.
        transport: see `AsyncRelayDance`.
        http_client: see `AsyncRelayDance`.
        clock: of all waits.
    """
    outage = KeyOutage(clock.random)

    async def build() -> Runtime:
        book.entered()
        transports = {
            network: await build_transport(transport, http_client, max_idle=permits, network=network)
            for network in Network
        }
        api = LocalAdmission(permits, book, clock.monotonic, clock.sleep, outage)
        return Runtime(transports, api, ForeignAdmission(permits, clock.monotonic, clock.sleep))

    return build
