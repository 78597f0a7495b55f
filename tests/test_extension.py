"""What CONTRIBUTING.md says can be added without a change elsewhere, added here: an endpoint, a kind of answer, an
observer, an admission, and a route of the sandbox. Each is made of what its room offers, and nothing is replaced."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Unpack

import pytest

from relaydance_async import AsyncRelayDance, InvalidInputError, RateLimitError, RelayDanceError, RetryPolicy
from relaydance_async._call import Answer, as_bytes, refuse_page
from relaydance_async._client import made_with
from relaydance_async._client._endpoints import Endpoint
from relaydance_async._config import Clock
from relaydance_async._limits import Admission, Ended, How, Kind, Lease, Ticket
from relaydance_async._sansio.extras import CallExtras
from relaydance_async._sansio.observer import CallInfo, CallObserver, NoObserver, Observer
from relaydance_async._sansio.retry import Decision, GiveUp, Retry
from relaydance_async.models._options import CallOptions
from relaydance_async.models.meta import AttemptRecord
from relaydance_async.resources._resource import Resource, made_at_once, names_of, require_text
from relaydance_async.resources._route import billed_post, declared_routes
from relaydance_async.sandbox import Fault, Sandbox, _routes
from relaydance_async.sandbox._exchange import Answer as SandboxAnswer
from relaydance_async.sandbox._exchange import Exchange
from relaydance_async.sandbox._requests import parse_object
from relaydance_async.sandbox._state import State
from tests.kit.clocks import QuickClock
from tests.kit.inside import runtimes_of
from tests.kit.probe import held
from tests.kit.transports import TRANSPORTS, transport_options

pytestmark = pytest.mark.anyio

# An endpoint, with a kind of answer of its own beside that of its route.

SOUNDS = "POST /v1/sounds"
MAKE = billed_post("sounds.make", "/sounds", as_bytes("audio/"))
_PARAMS = names_of(CallOptions)


class Digest:
    """A receiver: the digest of an answer that is never in memory whole."""

    takes: frozenset[int] = frozenset()
    returns: str = "digest"
    holds: bool = False
    kept: None = None

    async def __call__(self, answer: Answer, /) -> str:
        await refuse_page(answer, "the answer is no sound", ("audio/",))
        digest = sha256()
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                digest.update(piece)
        return digest.hexdigest()


class Sounds(Resource):
    """An endpoint."""

    @made_at_once
    def make(self, *, model: str, text: str, **params: Unpack[CallOptions]) -> Coroutine[Any, Any, bytes]:
        """The sound."""
        require_text(text, "text")
        arguments, extras = CallExtras.take(params, _PARAMS)
        return self._post(MAKE, {"model": model, "input": text, **arguments}, extras)

    @made_at_once
    def digest(self, *, model: str, text: str, **params: Unpack[CallOptions]) -> Coroutine[Any, Any, str]:
        """The sound's digest."""
        arguments, extras = CallExtras.take(params, _PARAMS)
        return self._post(MAKE, {"model": model, "input": text, **arguments}, extras, receive=Digest())


class Client(AsyncRelayDance):
    """A client with that endpoint."""

    sounds: Endpoint[Sounds] = Endpoint(Sounds)


# A route of the sandbox.


def sound_of(text: str) -> bytes:
    return b"ID3" + text.encode() * 1000


async def make_sound(state: State, exchange: Exchange) -> SandboxAnswer:
    units = 5000
    state.charge(exchange, units)
    sound = sound_of(parse_object(exchange)["input"] + exchange.header(b"traceparent"))
    return SandboxAnswer(200, sound, content_type="audio/mpeg", units=units)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setitem(_routes._EXACT, SOUNDS, _routes.Route(SOUNDS, make_sound))
    with Sandbox() as running:
        yield running


# An observer.


@dataclass
class Diary:
    """Writes down what it is told of billed calls."""

    header: dict[str, str] = field(default_factory=dict[str, str])
    problem: Exception | None = None
    """What is raised just before the first byte."""
    calls: list[CallInfo] = field(default_factory=list[CallInfo])
    lines: list[Any] = field(default_factory=list[Any])

    def call_began(self, call: CallInfo) -> CallObserver | None:
        if not call.billed:
            return None
        self.calls.append(call)
        return _Page(self)


class _Page(NoObserver):
    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self._write = diary.lines.append

    def queued(self, attempt: int) -> None:
        self._write(("queued", attempt))

    def admitted(self, attempt: int, queued_for: float, headers: dict[str, str]) -> None:
        assert "authorization" not in headers
        headers.update(self._diary.header)
        self._write(("admitted", attempt, queued_for))

    async def sending(self, attempt: int) -> None:
        self._write(("sending", attempt))
        if self._diary.problem is not None:
            raise self._diary.problem

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        self._write(("failed", record.number, record.status_code, type(decision)))

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        self._write(("ended", result, type(error)))


# An admission.


@dataclass
class Turnstile:
    """An admission that nobody passes at once, as one that is shared over a network; it keeps what it learns."""

    in_use: int = 0
    waiting: int = 0

    def abandon(self) -> None:
        self.in_use = 0

    def queued(self) -> dict[int, int]:
        return {}

    tickets: list[Ticket] = field(default_factory=list[Ticket])
    lessons: list[tuple[How, float | None]] = field(default_factory=list[tuple[How, float | None]])

    def enter_now(self, ticket: Ticket) -> Lease | None:
        return None

    async def enter(self, ticket: Ticket) -> Lease:
        self.tickets.append(ticket)
        self.in_use += 1
        return _Pass(self)


class _Pass:
    queued_for = 2.5
    is_probe = False
    why: str | None = None

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile: Turnstile | None = turnstile

    def probed(self) -> None:
        raise AssertionError("there was no outage")

    def ended(self, how: How, retry_after: float | None = None) -> None:
        turnstile, self._turnstile = self._turnstile, None
        if turnstile is not None:
            turnstile.in_use -= 1
            turnstile.lessons.append((how, retry_after))


def extended(*, clock: Clock, observers: Sequence[Observer] = (), **options: Any) -> Client:
    return made_with(Client, clock=clock, observers=observers)(**options)


async def put_in(client: AsyncRelayDance, admission: Admission) -> None:
    (await runtimes_of(client).current()).api = admission


@pytest.fixture(params=TRANSPORTS)
async def options(request: pytest.FixtureRequest, sandbox: Sandbox) -> AsyncGenerator[dict[str, Any]]:
    """For a client of the sandbox, over each way to send."""
    async with transport_options(request.param) as options:
        yield {"api_key": sandbox.api_key, "base_url": sandbox.base_url, "clock": QuickClock().clock, **options}


# Each of them alone.


async def test_an_endpoint(sandbox: Sandbox, options: dict[str, Any]) -> None:
    async with extended(**options) as client:
        assert await client.sounds.make(model="any", text="one") == sound_of("one")
        assert await client.sounds.digest(model="any", text="one") == sha256(sound_of("one")).hexdigest()
        view = client.with_options(deadline=60)
        assert await view.sounds.make(model="any", text="one", timeout=5) == sound_of("one")
        with pytest.raises(InvalidInputError):
            await client.sounds.make(model="any", text="")
    assert sandbox.ledger.count() == sandbox.ledger.accepted(SOUNDS) == 3
    assert sandbox.ledger.charged_usd == pytest.approx(0.03)


def test_a_route_of_elsewhere_is_none_of_the_packages() -> None:
    assert MAKE not in declared_routes()


async def test_an_observer(sandbox: Sandbox, options: dict[str, Any]) -> None:
    sandbox.faults.add(Fault(SOUNDS, status=503, at=(1,)))
    diary = Diary(header={"traceparent": "of the diary"})
    async with extended(**options, observers=[diary]) as client:
        sound = await client.sounds.make(model="any", text="one")
        await client.models.list()
    assert sound == sound_of("oneof the diary")
    (call,) = diary.calls
    assert (call.method, call.route, call.model) == ("POST", "/sounds", "any")
    assert diary.lines == [
        ("queued", 1),
        ("admitted", 1, 0.0),
        ("sending", 1),
        ("failed", 1, 503, Retry),
        ("queued", 2),
        ("admitted", 2, 0.0),
        ("sending", 2),
        ("ended", sound, type(None)),
    ]


async def test_an_observer_keeps_a_request_from_leaving(sandbox: Sandbox, options: dict[str, Any]) -> None:
    diary = Diary(problem=OSError("the disk is full"))
    async with extended(**options, observers=[diary]) as client:
        with pytest.raises(OSError, match="the disk is full"):
            await client.sounds.make(model="any", text="one")
        assert (await held(client)).permits == 0
    assert diary.lines[-2:] == [("sending", 1), ("ended", None, OSError)]
    assert sandbox.ledger.count() == 0


async def test_an_admission(sandbox: Sandbox, options: dict[str, Any]) -> None:
    sandbox.faults.add(Fault(SOUNDS, status=429, retry_after="7", at=(1,)))
    sandbox.faults.add(Fault(SOUNDS, status=503, code="system_cpu_overloaded", at=(2,)))
    sandbox.faults.add(Fault(SOUNDS, status=400, at=(3,)))
    turnstile = Turnstile()
    async with extended(**options) as client:
        await put_in(client, turnstile)
        with pytest.raises(RelayDanceError):
            await client.sounds.make(model="any", text="one")
        await client.models.list()
        assert (await held(client)).permits == turnstile.in_use == 0
    assert turnstile.lessons == [
        (Ended.REFUSED, 7.0),
        (Ended.OVERLOADED, None),
        (Ended.ANSWERED, None),
        (Ended.ACCEPTED, None),
    ]
    first = turnstile.tickets[0]
    assert first == Ticket(Kind.BILLED, "/sounds", "any", began_at=1000.0, gates=first.gates)
    assert turnstile.tickets[-1].kind is Kind.POLL


# All of them together.


async def test_an_endpoint_is_watched_and_admitted_as_all_others(sandbox: Sandbox, options: dict[str, Any]) -> None:
    sandbox.faults.add(Fault(SOUNDS, status=429))
    diary, turnstile = Diary(), Turnstile()
    async with extended(**options, observers=[diary], retry=RetryPolicy(max_attempts=1)) as client:
        await put_in(client, turnstile)
        with pytest.raises(RateLimitError):
            await client.sounds.digest(model="any", text="one")
    assert diary.lines == [
        ("queued", 1),
        ("admitted", 1, 2.5),
        ("sending", 1),
        ("failed", 1, 429, GiveUp),
        ("ended", None, RateLimitError),
    ]
    assert turnstile.lessons == [(Ended.REFUSED, None)]
