"""What a client is told, and what it refuses to be told."""

from __future__ import annotations

import logging
import pickle
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import AnyUrl, HttpUrl, SecretStr, TypeAdapter

from relaydance_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncRelayDance,
    ConfigurationError,
    InvalidInputError,
    RelayDanceError,
    RetryPolicy,
    Timeout,
)
from relaydance_async._config import DEFAULT_BASE_URL, USER_AGENT, Secret
from relaydance_async._sansio.addresses import is_loopback
from relaydance_async._sansio.timeout import as_timeout
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.kit.calls import (
    BILLED,
    CALLS,
    Call,
    ask_chat,
    client_of,
    list_models,
    make_image,
    open_stream,
    submit_clip,
    upload_file,
)
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client, parts_of, settings_of
from tests.kit.probe import watch
from tests.kit.routes import MODELS
from tests.kit.tls import trust
from tests.transports.support import UNSENT

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


# The key and the URL.


async def test_the_key_and_the_url_come_from_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAYDANCE_API_KEY", f" {sandbox.api_key}\n")
    monkeypatch.setenv("RELAYDANCE_BASE_URL", f"{sandbox.base_url}/")
    async with AsyncRelayDance() as client:
        assert client.base_url == sandbox.base_url
        assert "grok-4.3" in await client.models.list()


async def test_arguments_come_before_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAYDANCE_API_KEY", "sk-wrong")
    monkeypatch.setenv("RELAYDANCE_BASE_URL", "https://wrong.example/v1")
    async with AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client:
        assert (await client.models.list()).data


def test_an_empty_url_in_the_environment_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAYDANCE_BASE_URL", "")
    assert AsyncRelayDance(KEY).base_url == DEFAULT_BASE_URL == "https://relaydance.com/v1"


@pytest.mark.parametrize("call", [*CALLS.values(), open_stream])
async def test_a_missing_key_is_an_error_of_the_first_call_that_says_what_to_do(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.delenv("RELAYDANCE_API_KEY", raising=False)
    client = AsyncRelayDance(base_url=sandbox.base_url)
    with pytest.raises(ConfigurationError, match="no API key: pass api_key= or set RELAYDANCE_API_KEY"):
        await call(client)
    assert sandbox.ledger.count() == 0


@pytest.mark.parametrize("key", ["", "  ", "\n"])
def test_an_empty_key_is_an_error_at_construction(key: str) -> None:
    with pytest.raises(ConfigurationError, match="no API key: pass api_key= or set RELAYDANCE_API_KEY"):
        AsyncRelayDance(key)


def test_an_on_retry_that_can_not_be_called_is_an_error_at_construction() -> None:
    hook: Any = 3
    with pytest.raises(ConfigurationError, match="on_retry must be a function, not int"):
        AsyncRelayDance(KEY, on_retry=hook)


def test_an_empty_key_does_not_fall_back_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAYDANCE_API_KEY", KEY)
    with pytest.raises(ConfigurationError, match="no API key"):
        AsyncRelayDance("")


@pytest.mark.parametrize("key", ["sk-ключ", "sk 1", "sk-1\r\nX-Evil: 1", "sk-\x00", "Bearer sk-1"])
def test_a_key_that_is_none_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match="the API key holds characters that no key has") as caught:
        AsyncRelayDance(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("key", ["sk 1", "\u0130"])
def test_a_key_of_the_environment_that_is_none_is_refused_at_construction(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("RELAYDANCE_API_KEY", key)
    with pytest.raises(ConfigurationError, match="the API key holds characters that no key has"):
        AsyncRelayDance()


async def test_what_pydantic_settings_gives_is_taken(sandbox: Sandbox) -> None:
    for kind in (AnyUrl, HttpUrl):
        address = TypeAdapter[Any](kind).validate_python(f"{sandbox.base_url}/")
        async with AsyncRelayDance(SecretStr(sandbox.api_key), base_url=address) as client:
            assert client.base_url == sandbox.base_url
            assert (await client.models.list()).data


def test_a_secret_of_pydantic_is_checked_like_any_key() -> None:
    with pytest.raises(ConfigurationError, match="the API key holds characters that no key has"):
        AsyncRelayDance(SecretStr("sk 1"))
    wrong: Any = 1
    with pytest.raises(ConfigurationError, match="base_url must be a string or a URL of pydantic, not int"):
        AsyncRelayDance(KEY, base_url=wrong)


@pytest.mark.parametrize(("name", "kind"), [("SSL_CERT_FILE", "file"), ("SSL_CERT_DIR", "directory")])
def test_certificates_that_are_not_there_are_an_error_at_construction(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, kind: str
) -> None:
    path = str(tmp_path / "nothing")
    monkeypatch.setenv(name, path)
    with pytest.raises(ConfigurationError, match=f"^{name} names a {kind} that isn't there: {path!r}$"):
        AsyncRelayDance(KEY)
    monkeypatch.setenv(name, "")
    AsyncRelayDance(KEY)


async def test_a_file_of_certificates_that_holds_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty = tmp_path / "certificates.pem"
    empty.write_text("nothing")
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    trust(monkeypatch, None)
    async with AsyncRelayDance(KEY, base_url="https://127.0.0.1:1/v1") as client:
        with pytest.raises(ConfigurationError, match=r"^SSL_CERT_FILE holds no certificates: ") as caught:
            await client.models.list()
    assert str(empty) in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "relaydance.com/v1",
        "//relaydance.com/v1",
        "ftp://relaydance.com/v1",
        "https://",
        "https:///v1",
        "https://relaydance.com:port/v1",
        "https://relaydance.com:99999/v1",
        "https://relay dance.com/v1",
        "https://[::1/v1",
        "https://relaydance.com/v1?key=1",
        "https://relaydance.com/v1#top",
        "",
    ],
)
def test_a_bad_url_is_an_error_at_construction(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"base_url .* is not usable: "):
        AsyncRelayDance(KEY, base_url=url)


def test_a_password_in_the_url_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError, match="must hold no user name or password") as caught:
        AsyncRelayDance(KEY, base_url="https://me:hunter2@relaydance.com/v1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["relaydance.com", "10.0.0.1", "127.0.0.1.evil.example", "localhost.evil.example"])
def test_plain_http_to_another_machine_needs_an_explicit_word(host: str) -> None:
    url = f"http://{host}/v1"
    with pytest.raises(ConfigurationError, match="over http:// the key could be read on the way"):
        AsyncRelayDance(KEY, base_url=url)
    assert AsyncRelayDance(KEY, base_url=url, allow_http=True).base_url == url


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8:80", "localhost", "LOCALHOST:8080", "api.localhost", "[::1]"])
def test_plain_http_to_this_machine_is_fine(host: str) -> None:
    assert AsyncRelayDance(KEY, base_url=f"http://{host}/v1/").base_url == f"http://{host}/v1"


def test_only_this_machine_is_loopback() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("::ffff:8.8.8.8")
    assert not is_loopback("notlocalhost")


# Numbers and other options.

WRONG: dict[str, dict[str, Any]] = {
    "no timeout": {"timeout": 0},
    "a negative timeout": {"timeout": -1.0},
    "a timeout that is no number": {"timeout": float("nan")},
    "a timeout that is a text": {"timeout": "10"},
    "a timeout that is a word of logic": {"timeout": True},
    "no deadline": {"deadline": 0},
    "a negative deadline": {"deadline": -5},
    "a deadline that is no number": {"deadline": float("nan")},
    "a deadline that is a text": {"deadline": "60"},
    "no concurrency": {"max_concurrency": 0},
    "negative concurrency": {"max_concurrency": -1},
    "half a concurrency": {"max_concurrency": 1.5},
    "a concurrency that is a word of logic": {"max_concurrency": True},
    "endless concurrency": {"max_concurrency": float("inf")},
    "no response bytes": {"max_response_bytes": 0},
    "a retry policy that is a number": {"retry": 3},
    "no retry policy": {"retry": None},
    "the key as a header": {"default_headers": {"Authorization": "Bearer x"}},
    "a header with a line break": {"default_headers": {"x-a": "1\r\nx-b: 2"}},
    "a header name with a line break": {"default_headers": {"x-a\n": "1"}},
    "a header that is no ASCII": {"default_headers": {"x-a": "é"}},
    "a header that is a number": {"default_headers": {"x-a": 1}},
    "a header with a blank at its end": {"default_headers": {"x-a": "1 "}},
    "a header with a control character": {"default_headers": {"x-a": "1\x1b2"}},
    "a header name with a blank": {"default_headers": {"x-a ": "1"}},
    "a header name with a colon": {"default_headers": {"x-a:": "1"}},
    "a header without a name": {"default_headers": {"": "1"}},
    "a header whose name is a number": {"default_headers": {1: "1"}},
    "headers that are no mapping": {"default_headers": 3},
    "limits that are a mapping": {"limits": {"requests_per_minute": 60}},
    "plain http by a text": {"allow_http": "false"},
    "a mark by a number": {"signed_answers": 1},
    "an unknown transport": {"transport": "carrier pigeon"},
}


@pytest.mark.parametrize("case", WRONG)
def test_an_option_out_of_range_is_an_error_at_construction(case: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncRelayDance(KEY, **WRONG[case])
    assert isinstance(caught.value, ValueError)
    assert KEY not in str(caught.value)


OF_VIEWS = ("timeout", "deadline", "max_response_bytes", "retry", "default_headers")


@pytest.mark.parametrize(
    "case", [case for case, options in WRONG.items() if set(options) <= set(OF_VIEWS) and None not in options.values()]
)
def test_an_option_out_of_range_is_an_error_in_a_view_too(case: str) -> None:
    with pytest.raises(ConfigurationError):
        AsyncRelayDance(KEY).with_options(**WRONG[case])


async def test_headers_of_the_caller_go_with_every_request() -> None:
    import asyncio

    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            heads.append(head)
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{"data":[]}')
            await writer.drain()
            writer.close()
            return

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        headers = {"X-Team": "clips", "User-Agent": "mine/1"}
        async with AsyncRelayDance(KEY, base_url=url, default_headers=headers) as client:
            await client.models.list()
            await client.with_options(default_headers={"x-team": "stills", "X-More": "1"}).models.list()
            await client.models.list()
        async with AsyncRelayDance(KEY, base_url=url) as client:
            await client.models.list()
    sent = [
        {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in head.decode().splitlines()[1:] if line)
        }
        for head in heads
    ]
    assert [one["x-team"] for one in sent[:3]] == ["clips", "stills", "clips"]
    assert ["x-more" in one for one in sent] == [False, True, False, False]
    assert [one["user-agent"] for one in sent] == ["mine/1", "mine/1", "mine/1", USER_AGENT]
    assert {one["authorization"] for one in sent} == {f"Bearer {KEY}"}
    assert {one["accept"] for one in sent} == {"application/json"}


async def test_a_timeout_may_be_one_number_or_one_for_each_phase(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, stall=True))
    async with client_of(sandbox, retry=RetryPolicy(max_attempts=1)) as client:
        for timeout in (0.03, Timeout(read=0.03)):
            await submit_clip(client)  # so that there is a connection
            with pytest.raises(APITimeoutError, match=r"no answer within 0\.03 s"):
                await client.with_options(timeout=timeout).models.list()


@pytest.mark.parametrize("transport", ["direct", "httpx"])
async def test_no_timeout_is_none_at_all(sandbox: Sandbox, transport: Any) -> None:
    async with client_of(sandbox, transport=transport, retry=RetryPolicy(max_attempts=1)) as client:
        view = client.with_options(timeout=None)
        await list_models(view)
        await view.files.upload(b"x" * 200_000, filename="a.jpg")
        await open_stream(view)


def test_a_timeout_is_a_value() -> None:
    assert Timeout() == Timeout(10.0, 320.0, 60.0)
    assert Timeout().at_most(30) == Timeout(10.0, 30, 30)
    with pytest.raises(ConfigurationError):
        Timeout(connect=0)


# Views.


async def test_a_view_shares_connections_permits_and_the_cool_down(sandbox: Sandbox) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        async with client_of(sandbox, base_url=proxy.base_url) as client:
            view = client.with_options(deadline=5, retry=RetryPolicy(max_attempts=1)).with_options(timeout=5)
            assert type(view) is type(client)
            assert await watch(view) == await watch(client)
            for one in (client, view, client.with_options()):
                await one.models.list()
            assert proxy.connections == 1


async def test_a_view_changes_what_is_given_and_nothing_else(sandbox: Sandbox) -> None:
    client = client_of(sandbox, deadline=9, retry=RetryPolicy(2), max_response_bytes=1000)
    view = client.with_options(timeout=3)
    changed = settings_of(view)
    assert changed.timeout == Timeout(3, 3, 3)
    assert (changed.deadline, changed.retry, changed.max_response_bytes) == (9, RetryPolicy(2), 1000)
    assert settings_of(client).timeout == Timeout()
    assert settings_of(client.with_options(deadline=1)).deadline == 1


async def test_closing_a_view_closes_nothing(sandbox: Sandbox) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        async with client_of(sandbox, base_url=proxy.base_url) as client:
            async with client.with_options(deadline=5) as view:
                await view.models.list()
            await client.models.list()
            assert proxy.connections == 1


# The key stays in.


async def test_no_repr_shows_the_key(sandbox: Sandbox) -> None:
    client = AsyncRelayDance(KEY)
    assert repr(client) == "<AsyncRelayDance https://relaydance.com/v1>"
    parts = [*parts_of(client), client.video]
    parts += [vars(part) for part in parts if hasattr(part, "__dict__")]
    assert all(KEY not in repr(part) for part in parts)
    assert KEY not in f"{Secret(KEY)} {Secret(KEY)!r}"


def test_a_key_is_never_pickled() -> None:
    with pytest.raises(TypeError, match="an API key is not pickled"):
        pickle.dumps(Secret(KEY))


@pytest.mark.parametrize("transport", ["direct", "httpx"])
async def test_no_log_shows_the_key(sandbox: Sandbox, caplog: pytest.LogCaptureFixture, transport: Any) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    with caplog.at_level(logging.DEBUG):
        async with client_of(sandbox, QuickClock(), transport=transport) as client:
            await client.models.list()
            await submit_clip(client)
    assert caplog.records
    assert sandbox.api_key not in caplog.text
    assert all(sandbox.api_key not in repr(vars(record)) for record in caplog.records)


# A client of the caller's.


@pytest.fixture(params=["httpx", "httpx2"])
async def http(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    library = pytest.importorskip(request.param)
    # Loading the certificates is most of the making of a client.
    async with library.AsyncClient(verify=False) as client:
        yield client


async def test_a_client_of_the_callers_is_used_and_stays_open(sandbox: Sandbox, http: Any) -> None:
    async with client_of(sandbox, http_client=http) as client:
        assert "grok-4.3" in await client.models.list()
        assert (await ask_chat(client)).choices
        assert (await open_stream(client)).choices
        assert (await upload_file(client)).url
        assert (await submit_clip(client)).task_id
    assert not http.is_closed
    assert (await http.get(f"{sandbox.base_url}/models")).status_code == 401  # our key is not on the caller's client


@pytest.mark.parametrize("route", BILLED)
async def test_over_a_client_of_the_callers_nothing_is_paid_for_twice(sandbox: Sandbox, http: Any, route: str) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request", at=(1,))]) as proxy:
        async with client_of(sandbox, QuickClock(), base_url=proxy.base_url, http_client=http) as client:
            with pytest.raises(APIConnectionError) as caught:
                await BILLED[route](client)
            assert caught.value.maybe_accepted
            assert sandbox.ledger.accepted(route) == sandbox.ledger.count(route) == 1
            await BILLED[route](client)


async def test_over_a_client_of_the_callers_transient_failures_are_repeated(sandbox: Sandbox, http: Any) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, at=(1,)))
    sandbox.faults.add(Fault(MODELS, after_accept=True, at=(2,)))
    async with client_of(sandbox, QuickClock(), http_client=http) as client:
        assert (await client.models.list()).data
    assert sandbox.ledger.count(MODELS) == 3


async def test_over_a_client_of_the_callers_a_refused_connection_was_never_accepted(http: Any) -> None:
    client = make_client(KEY, base_url="http://127.0.0.1:9/v1", http_client=http, clock=QuickClock().clock)
    with pytest.raises(APIConnectionError) as caught:
        await submit_clip(client)
    assert not caught.value.maybe_accepted
    assert len(caught.value.attempts) == UNSENT


async def test_over_a_client_of_the_callers_timeouts_are_ours(sandbox: Sandbox, http: Any) -> None:
    sandbox.faults.add(Fault(stall=True))
    once, timeout = RetryPolicy(max_attempts=1), Timeout(read=0.03)
    async with client_of(sandbox, http_client=http, timeout=timeout, retry=once) as client:
        with pytest.raises(APITimeoutError, match=r"no answer within 0\.03 s") as caught:
            await submit_clip(client)
    assert caught.value.maybe_accepted


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_sync_client_is_refused(library: str) -> None:
    http = pytest.importorskip(library).Client(verify=False)
    with http, pytest.raises(ConfigurationError, match=r"http_client must be an httpx\.AsyncClient, not Client"):
        AsyncRelayDance(KEY, http_client=http)


@pytest.mark.parametrize("http_client", ["httpx", 7, httpx.AsyncClient, object()])
def test_anything_else_is_refused(http_client: object) -> None:
    with pytest.raises(ConfigurationError, match="http_client must be"):
        AsyncRelayDance(KEY, http_client=http_client)


# Options of one call.


async def test_options_of_one_call_are_for_that_call(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("POST /v1/chat/completions", stall=True, times=1))
    messages = [{"role": "user", "content": "Hi"}]
    async with client_of(sandbox, retry=RetryPolicy(max_attempts=1)) as client:
        with pytest.raises(APITimeoutError):
            await client.chat.completions.create(model="grok-4.3", messages=messages, timeout=0.5)
        assert (await client.chat.completions.create(model="grok-4.3", messages=messages)).choices


async def test_a_header_of_one_call_replaces_the_clients_own(sandbox: Sandbox) -> None:
    heads: list[httpx.Headers] = []

    async def note(request: httpx.Request) -> None:
        heads.append(request.headers)

    async with httpx.AsyncClient(verify=False, event_hooks={"request": [note]}) as http:
        client = client_of(sandbox, http_client=http, default_headers={"X-Team": "clips"})
        extra = {"Accept": "text/plain", "x-TEAM": "stills"}
        await client.images.generate(model="grok-imagine-image", prompt="a cat", extra_headers=extra)
        await make_image(client)
    assert [head.get_list("accept") for head in heads] == [["text/plain"], ["application/json"]]
    assert [head.get_list("x-team") for head in heads] == [["stills"], ["clips"]]


@pytest.mark.parametrize("name", ["authorization", "Authorization"])
async def test_a_call_cannot_replace_the_key(sandbox: Sandbox, name: str) -> None:
    async with client_of(sandbox) as client:
        with pytest.raises(RelayDanceError):
            await client.images.generate(model="m", prompt="p", extra_headers={name: "Bearer x"})
    assert sandbox.ledger.count() == 0


async def test_a_query_that_cannot_be_sent_is_refused(sandbox: Sandbox) -> None:
    async with client_of(sandbox) as client:
        with pytest.raises(InvalidInputError):
            await client.images.generate(model="m", prompt="p", extra_query={"a": "\ud800"})
        assert (await list_models(client)).data


FRAMING = ("Connection", "Content-Length", "Expect", "Host", "TE", "Transfer-Encoding", "Upgrade")


@pytest.mark.parametrize("name", FRAMING)
async def test_what_frames_a_request_is_the_clients_alone(sandbox: Sandbox, name: str) -> None:
    told = {name: "3"}
    said = f"the header {name} is the client's: it belongs to the connection, not to the request"
    with pytest.raises(ConfigurationError, match=said):
        AsyncRelayDance(KEY, default_headers=told)
    with FaultyProxy(sandbox.root_url) as proxy:
        async with client_of(sandbox, base_url=proxy.base_url) as client:
            with pytest.raises(ConfigurationError, match=said):
                client.with_options(default_headers=told)
            with pytest.raises(ConfigurationError, match=said):
                await client.images.generate(model="m", prompt="p", extra_headers=told)
            with pytest.raises(ConfigurationError, match=said):
                await client.files.upload(b"x", filename="a.jpg", extra_headers=told)
        assert proxy.connections == 0


def test_a_header_that_can_not_be_sent_is_named_and_its_value_is_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"^the value of header x-secret holds characters") as caught:
        AsyncRelayDance(KEY, default_headers={"x-secret": "hunter2\n"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "a", "a b\tc", '~!"{}'])
def test_what_a_header_may_hold(value: str) -> None:
    AsyncRelayDance(KEY, default_headers={"!#$%&'*+.^_`|~-9Az": value})


# What people bring from other clients.


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"organization": "org-1"}, "a key of RelayDance belongs to one account"),
        ({"project": "p"}, "a key of RelayDance belongs to one account"),
        ({"webhook_secret": "whsec_1"}, "WebhookReceiver"),
        ({"max_retrys": 2}, "did you mean max_retries"),
        ({"api_kye": "sk-1"}, "did you mean api_key"),
        ({"quite_something_else": 1}, "unexpected keyword argument 'quite_something_else'$"),
    ],
)
@pytest.mark.parametrize("make", [AsyncRelayDance, AsyncRelayDance("sk-1").with_options], ids=["client", "view"])
def test_an_unknown_option_is_told_with_what_was_meant(make: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError, match=told):
        make(**options)


@pytest.mark.parametrize("timeout", [httpx.Timeout(5, connect=2), httpx.Timeout(None), None, 5, Timeout(read=1)])
def test_timeouts_of_all_kinds(timeout: Any) -> None:
    found = settings_of(AsyncRelayDance("sk-1", timeout=timeout)).timeout
    if isinstance(timeout, httpx.Timeout):
        assert found == Timeout(*(value or float("inf") for value in (timeout.connect, timeout.read, timeout.write)))
    else:
        assert found == as_timeout(timeout)


@pytest.mark.parametrize("timeout", ["5", [5], object(), httpx.Timeout(0)])
def test_what_can_not_be_a_timeout_is_refused(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout must be"):
        AsyncRelayDance("sk-1", timeout=timeout)


@pytest.mark.parametrize("wrong", [-1, 1.5, "2", True])
def test_retries_are_counted_from_zero(wrong: Any) -> None:
    assert settings_of(AsyncRelayDance("sk-1", max_retries=0)).retry == RetryPolicy(max_attempts=1)
    view = AsyncRelayDance("sk-1", retry=RetryPolicy(base=2.0)).copy(max_retries=5)
    assert settings_of(view).retry == RetryPolicy(max_attempts=6, base=2.0)
    with pytest.raises(ConfigurationError, match="max_retries must be a whole number"):
        AsyncRelayDance("sk-1", max_retries=wrong)


async def test_a_closed_client_says_so_until_it_is_used_again(sandbox: Sandbox) -> None:
    client = AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url)
    assert not client.is_closed()
    await list_models(client)
    await client.close()
    assert client.is_closed()
    await list_models(client)
    assert not client.is_closed()
    await client.close()


def test_the_key_can_be_read_and_not_changed() -> None:
    client = AsyncRelayDance(SecretStr(KEY))
    assert client.api_key == KEY
    with pytest.raises(AttributeError):
        client.api_key = "sk-2"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert KEY not in repr(vars(client))


def test_what_is_known_of_limits_can_be_read_where_no_loop_runs() -> None:
    client = AsyncRelayDance("sk-1")
    assert not client.limits.snapshot().limiters
    client.limits.forget()
