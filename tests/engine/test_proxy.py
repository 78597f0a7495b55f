"""Proxies of the environment: which one is used, the way through it, and what its refusals are told as."""

from __future__ import annotations

import asyncio
import base64
import gc
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from relaydance_async import ConfigurationError
from relaydance_async._engine import _tunnel
from relaydance_async._engine._dial import Origin
from relaydance_async._engine._proxy import Proxy, parse_proxy, proxy_for
from relaydance_async._sansio.target import Network
from tests.engine.dialling import Heard, Names, a_dialer, dialled, failure, says_nothing
from tests.engine.proxies import (
    ESTABLISHED,
    EVERYWHERE,
    a_proxy,
    free_port,
    microsocks,
    one_by_one,
    saying,
    tinyproxy,
)
from tests.kit.waiting import open_files, wait_until
from tests.transports.support import OK, Peer, Server, serve, server_context

pytestmark = pytest.mark.anyio

USER, PASSWORD = "some@one", "p:ss/wörd"
LOGIN = "some%40one:p%3Ass%2Fw%C3%B6rd"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture
async def gateway(tls_server: ssl.SSLContext) -> AsyncIterator[Server]:
    """The API behind the proxy, over TLS."""
    async with serve(tls=tls_server) as server:
        yield server


# Which one.


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("HTTP_PROXY", "http"), ("http_proxy", "http"), ("HTTPS_PROXY", "https"), ("https_proxy", "https")]
    + [(name, scheme) for name in ("ALL_PROXY", "all_proxy") for scheme in ("http", "https")],
)
def test_the_environment_names_it(monkeypatch: pytest.MonkeyPatch, name: str, scheme: str) -> None:
    assert proxy_for(scheme, "gateway.test", 443) is None
    monkeypatch.setenv(name, "http://proxy.test:3128")
    assert proxy_for(scheme, "gateway.test", 443) == Proxy("http", "proxy.test", 3128)
    for host in ("localhost", "sub.localhost", "127.0.0.1", "::1"):
        assert proxy_for(scheme, host, 443) is None
    monkeypatch.setenv(name, "")
    assert proxy_for(scheme, "gateway.test", 443) is None


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("value", "direct"),
    [
        ("shop.test", True),
        ("SHOP.TEST", True),
        ("other.test,shop.test", True),
        ("other.test, shop.test ,", True),
        ("test", True),
        (".test", True),
        ("shop.test:8080", True),
        ("shop.test:1", False),
        ("*", True),
        ("other.test,*", True),
        ("op.test", False),
        ("other.test", False),
        ("", False),
    ],
)
def test_no_proxy_names_hosts_that_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, direct: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test")
    monkeypatch.setenv(variable, value)
    assert (proxy_for("http", "shop.test", 8080) is None) == direct


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("proxy.test", Proxy("http", "proxy.test", 80)),
        ("proxy.test:3128", Proxy("http", "proxy.test", 3128)),
        ("HTTP://Proxy.test:3128/", Proxy("http", "proxy.test", 3128)),
        ("https://proxy.test", Proxy("https", "proxy.test", 443)),
        ("socks5://proxy.test", Proxy("socks5", "proxy.test", 1080)),
        ("socks5h://[::1]:9", Proxy("socks5", "::1", 9)),
        (f"http://{LOGIN}@proxy.test:1", Proxy("http", "proxy.test", 1, USER, PASSWORD)),
        (f"{LOGIN}@proxy.test:1", Proxy("http", "proxy.test", 1, USER, PASSWORD)),
        ("http://only-user@proxy.test", Proxy("http", "proxy.test", 80, "only-user", "")),
    ],
)
def test_a_url_is_taken_apart(url: str, proxy: Proxy) -> None:
    assert parse_proxy(url) == proxy
    for secret in (PASSWORD, LOGIN, BASIC):
        assert secret not in f"{parse_proxy(url)} {parse_proxy(url)!r}"


@pytest.mark.parametrize("rest", ["u:secret@", "u:secret@host:port", "u:secret@host:99999", "u:secret@[::1", ""])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_url_that_is_none_is_a_clear_error_without_the_password(scheme: str, rest: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"whose URL can't be read; write {scheme}://HOST:PORT") as caught:
        parse_proxy(f"{scheme}://{rest}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["socks4", "ftp", "quic"])
async def test_a_kind_that_is_not_spoken_is_a_clear_error_before_any_traffic(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://someone:secret@127.0.0.1:9")
    with pytest.raises(ConfigurationError, match=rf"speaks {scheme}; use one of http, https or socks5") as caught:
        await dialled(a_dialer(), "https://gateway.test")
    assert "secret" not in str(caught.value)


# Real proxies.


async def test_through_tinyproxy_with_a_password(
    gateway: Server,
    trusting: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tinyproxy(tmp_path, "BasicAuth someone secret") as port:
        monkeypatch.setenv("ALL_PROXY", f"http://someone:secret@127.0.0.1:{port}")
        dialer = a_dialer(context=trusting)
        made = await dialer.dial(Origin("https", EVERYWHERE, gateway.port), Heard)
        assert (made.via_proxy, made.proxy_headers) == (False, ())
        assert await made.protocol.ask() == OK
        await made.protocol.close()
        async with serve() as plain:
            made = await dialer.dial(Origin("http", EVERYWHERE, plain.port), Heard)
            assert made.via_proxy
            basic = base64.b64encode(b"someone:secret").decode()
            assert made.proxy_headers == (("Proxy-Authorization", f"Basic {basic}"),)
            assert basic not in repr(made)
            made.protocol.transport.write(
                f"GET http://{EVERYWHERE}:{plain.port}/x HTTP/1.1\r\nHost: {EVERYWHERE}\r\n"
                f"{made.proxy_headers[0][0]}: {made.proxy_headers[0][1]}\r\n\r\n".encode()
            )
            await wait_until(lambda: made.protocol.data.endswith(b"ok"))
            await made.protocol.close()
        assert [head.target for head in plain.heads] == ["/x"]
        monkeypatch.setenv("ALL_PROXY", f"http://someone:wrong-one@127.0.0.1:{port}")
        error = await failure(dialer, f"https://{EVERYWHERE}:{gateway.port}")
        assert (error.kind, error.retryable, error.text[:4]) == ("proxy", False, "401 ")  # tinyproxy's number for it
        assert "wrong-one" not in str(error)
        monkeypatch.setenv("ALL_PROXY", f"http://someone:secret@127.0.0.1:{port}")
        error = await failure(dialer, f"https://{EVERYWHERE}:{free_port()}")
        assert (error.kind, error.retryable, error.text[:1]) == ("proxy", True, "5")
    assert len(gateway.heads) == 1


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("login", ["", "someone:secret@"])
async def test_through_a_socks_proxy(
    gateway: Server,
    trusting: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    login: str,
) -> None:
    with microsocks(*(["-u", "someone", "-P", "secret"] if login else [])) as port:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{login}127.0.0.1:{port}")
        dialer = a_dialer(context=trusting)
        async with serve() as plain:
            for url in (f"https://{EVERYWHERE}:{gateway.port}", f"http://127.1:{plain.port}"):  # an address, a name
                heard = await dialled(dialer, url)
                assert await heard.ask() == OK
                await heard.close()
        error = await failure(dialer, f"https://{EVERYWHERE}:{free_port()}")
        assert (error.kind, error.text, error.retryable) == ("proxy", "SOCKS error 5, connection refused", True)
        if login:
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://someone:wrong-one@127.0.0.1:{port}")
            error = await failure(dialer, f"https://{EVERYWHERE}:{gateway.port}")
            assert (error.kind, error.retryable) == ("proxy", False)
            assert "wrong-one" not in str(error)
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{port}")
            error = await failure(dialer, f"https://{EVERYWHERE}:{gateway.port}")
            assert (error.text, error.retryable) == ("it wants another way of authentication", False)


# The tunnel.


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_tunnel_shows_the_proxy_its_password_and_the_origin_and_nothing_else(
    gateway: Server,
    trusting: ssl.SSLContext,
    tls_server: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    heads: list[str] = []
    names = Names()
    async with a_proxy(
        gateway.port, saying(ESTABLISHED, heads=heads), tls=tls_server if scheme == "https" else None
    ) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://{LOGIN}@127.0.0.1:{proxy.port}")
        dialer = a_dialer(names=names, context=trusting)
        for _ in range(3):
            heard = await dialled(dialer, "https://gateway.test")
            assert await heard.ask() == OK
            await heard.close()
    expected = f"CONNECT gateway.test:443\nHost: gateway.test:443\nProxy-Authorization: Basic {BASIC}"
    assert heads == [expected] * 3
    assert names.asked == []  # the proxy looks the name up
    assert all("proxy-authorization" not in head.names for head in gateway.heads)
    assert says_nothing(caplog)


async def test_an_ipv6_address_is_in_brackets(trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []
    async with a_proxy(0, saying(b"HTTP/1.1 403 No\r\n\r\n", heads=heads)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        await failure(a_dialer(context=trusting), "https://[2001:db8::1]:8443")
    assert heads == ["CONNECT [2001:db8::1]:8443\nHost: [2001:db8::1]:8443"]


GOOD_ANSWERS = {
    "piecemeal": one_by_one(ESTABLISHED),
    "headers": [b"HTTP/1.0 200 OK\r\nProxy-Agent: x\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n"],
    "another 2xx": [b"HTTP/1.1 204 \r\n\r\n"],
    "no reason": [b"HTTP/1.1 200\r\n\r\n"],
    "interim": [b"HTTP/1.1 100 Continue\r\n\r\n" * 5 + ESTABLISHED],
}


@pytest.mark.parametrize("name", GOOD_ANSWERS)
async def test_it_is_there_with_the_head_of_a_good_answer(
    gateway: Server, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with a_proxy(gateway.port, saying(*GOOD_ANSWERS[name])) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        heard = await dialled(a_dialer(context=trusting), "https://gateway.test")
        assert await heard.ask() == OK
        await heard.close()


REFUSALS = {
    407: b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    403: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope",
    302: b"HTTP/1.1 302 Found\r\nLocation: http://login.test/\r\n\r\n",
    429: b"HTTP/1.1 429 Too Many Requests\r\n\r\n",
    502: b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_refusal_is_told_with_its_status(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    files = open_files()
    async with a_proxy(0, saying(REFUSALS[status])) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{LOGIN}@127.0.0.1:{proxy.port}")
        error = await failure(a_dialer(context=trusting), "https://gateway.test")
    assert (error.kind, error.retryable) == ("proxy", status in (429, 502))
    assert error.text == REFUSALS[status].partition(b"\r")[0].decode().partition(" ")[2]
    await wait_until(lambda: open_files() <= files)


async def test_what_a_refusal_says_is_one_line_without_our_password(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"you  said {PASSWORD} or {BASIC}\x1b[31m\x00 {'x' * 1000}".encode("latin-1")
    async with a_proxy(0, saying(b"HTTP/1.1 407 %s\r\n\r\n" % said)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{LOGIN}@127.0.0.1:{proxy.port}")
        error = await failure(a_dialer(context=trusting), "https://gateway.test")
    assert error.text.startswith("407 you said *** or ***[31m xxx")
    assert len(error.text) < 400


BAD_ANSWERS = {
    "a head without end": ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000], "its answer's head has more than 32768 bytes"),
    "interim answers without end": ([b"HTTP/1.1 100 Continue\r\n\r\n"] * 6, "more than 5 interim answers"),
    "bytes of its own": ([ESTABLISHED + b"\x16\x03"], "sent bytes of its own through the tunnel"),
    "no HTTP": ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], "something else than HTTP/1.1"),
    "a status of two digits": ([b"HTTP/1.1 20 OK\r\n\r\n"], "something else than HTTP/1.1"),
    "a bare line feed": ([b"HTTP/1.1 200 OK\nX: y\r\n\r\n"], "something else than HTTP/1.1"),
    "HTTP/2": ([b"HTTP/2 200 OK\r\n\r\n"], "something else than HTTP/1.1"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_another_answer_is_refused(
    gateway: Server, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pieces, text = BAD_ANSWERS[name]
    async with a_proxy(gateway.port, saying(*pieces)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = await failure(a_dialer(context=trusting), "https://gateway.test")
        await wait_until(lambda: proxy.open == 0)
    assert error.kind == "proxy"
    assert text in error.text
    assert gateway.heads == []


async def silent(peer: Peer) -> None:
    await peer.until_gone()


async def dropping(peer: Peer) -> None:
    await peer.receive()
    await peer.reset()


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_one_that_says_nothing_has_a_time_limit(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(_tunnel, "TALK_SECONDS", 0.05)
    async with serve(silent) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        error = await failure(a_dialer(context=trusting), "https://gateway.test")
        await wait_until(lambda: proxy.open == 0)
    assert (error.kind, error.text) == ("proxy", "no answer within 0.05 s")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_one_that_drops_may_do_better_later(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(dropping) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        error = await failure(a_dialer(context=trusting), "https://gateway.test")
    assert (error.kind, error.retryable) == ("proxy", True)
    assert error.text == "it closed the connection without an answer"
    assert says_nothing(caplog)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_one_that_is_not_there_is_named_without_its_password(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    port = free_port()
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://someone:secret@127.0.0.1:{port}")
    for url in ("http://gateway.test", "https://gateway.test"):
        error = await failure(a_dialer(context=trusting), url)
        assert (error.kind, error.retryable) == ("refused", True)
        assert error.text == f"the proxy {scheme}://127.0.0.1:{port}: Connection refused"


async def test_a_proxy_whose_certificate_is_not_trusted_is_named(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(tls=server_context(trustme.CA().issue_cert("127.0.0.1"))) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        for url in ("http://gateway.test", "https://gateway.test"):
            error = await failure(a_dialer(context=trusting), url)
            assert (error.kind, error.retryable) == ("tls", False)
            assert error.text.startswith(f"the proxy {proxy.url}: ")


async def test_an_origin_whose_certificate_is_not_trusted_is_not_the_proxys_fault(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        serve(tls=server_context(trustme.CA().issue_cert("gateway.test"))) as gateway,
        a_proxy(gateway.port, saying(ESTABLISHED)) as proxy,
    ):
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        error = await failure(a_dialer(context=trusting), "https://gateway.test")
    assert (error.kind, error.retryable, "proxy" in error.text) == ("tls", False, False)


async def test_through_a_proxy_the_network_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        made = await a_dialer(network=Network.PUBLIC).dial(Origin("http", "clip.test", 80), Heard)
        assert (made.via_proxy, made.proxy_headers) == (True, ())
        await made.protocol.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_cancelled_at_any_step_it_leaves_no_socket_and_no_task(
    gateway: Server,
    trusting: ssl.SSLContext,
    tls_server: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with a_proxy(gateway.port, saying(ESTABLISHED), tls=tls_server if scheme == "https" else None) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        dialer = a_dialer(context=trusting)
        await (await dialled(dialer, "https://gateway.test")).close()
        await wait_until(lambda: proxy.open == gateway.open == 0)
        files, tasks = open_files(), asyncio.all_tasks()
        for steps in range(0, 60, 2):
            task = asyncio.create_task(dialled(dialer, "https://gateway.test"))
            for _ in range(steps):
                await asyncio.sleep(0.0001)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                await (await task).close()
        await wait_until(lambda: proxy.open == gateway.open == 0)
        await wait_until(lambda: asyncio.all_tasks() == tasks)
        await wait_until(lambda: open_files() <= files)
    gc.collect()
    assert says_nothing(caplog)


# SOCKS 5, byte by byte.


async def _socks_until(peer: Peer, *answers: bytes) -> list[bytes]:
    got: list[bytes] = []
    for answer in answers:
        got.append(await peer.receive())
        for byte in one_by_one(answer):
            await peer.send(byte)
            await asyncio.sleep(0.001)
    return got


SOCKS_OK = {
    "an IPv4 address": b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50",
    "an IPv6 address": b"\x05\x00\x00\x04" + bytes(16) + b"\x00\x50",
    "a name": b"\x05\x00\x00\x03\x04name\x00\x50",
}


@pytest.mark.parametrize("kind", SOCKS_OK)
async def test_socks_answers_may_come_in_pieces(
    gateway: Server, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    got: list[bytes] = []

    async def talk(peer: Peer) -> None:
        got.extend(await _socks_until(peer, b"\x05\x02", b"\x01\x00", SOCKS_OK[kind]))

    async with a_proxy(gateway.port, talk) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://{LOGIN}@127.0.0.1:{proxy.port}")
        heard = await dialled(a_dialer(context=trusting), "https://gateway.test")
        assert await heard.ask() == OK
        await heard.close()
    password = PASSWORD.encode()
    assert got == [
        b"\x05\x02\x00\x02",
        b"\x01\x08some@one" + bytes([len(password)]) + password,
        b"\x05\x01\x00\x03\x0cgateway.test\x01\xbb",
    ]


@pytest.mark.parametrize(
    ("answers", "text", "retryable"),
    [
        ((b"HT",), "something else than SOCKS 5", True),
        ((b"\x05\xff",), "another way of authentication", False),
        ((b"\x05\x02",), "another way of authentication", False),
        ((b"\x05\x00", b"\x05\x02\x00\x01"), "SOCKS error 2, not allowed by its rules", False),
        ((b"\x05\x00", b"\x05\x63\x00\x01"), "SOCKS error 99, unknown", False),
        ((b"\x05\x00", b"\x04\x00\x00\x01"), "something else than SOCKS 5", True),
        ((b"\x05\x00", b"\x05\x00\x00\x09"), "an unknown kind of address", True),
        ((b"\x05\x00", SOCKS_OK["a name"] + b"x"), "bytes of its own", True),
    ],
)
async def test_another_socks_answer_is_refused(
    trusting: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    answers: tuple[bytes, ...],
    text: str,
    retryable: bool,
) -> None:
    async def talk(peer: Peer) -> None:
        for answer in answers:
            await peer.receive()
            await peer.send(answer)
        await peer.until_gone()

    async with serve(talk) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        error = await failure(a_dialer(context=trusting), "https://gateway.test")
        await wait_until(lambda: proxy.open == 0)
    assert (error.kind, error.retryable) == ("proxy", retryable)
    assert text in error.text


@pytest.mark.parametrize("what", ["the password", "the name"])
async def test_what_socks_has_no_room_for_is_a_final_failure(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    login, host = ("u:" + "x" * 256 + "@", "gateway.test") if what == "the password" else ("", "x." * 200)

    async def talk(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"\x05\x02" if login else b"\x05\x00")
        await peer.until_gone()

    async with serve(talk) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://{login}127.0.0.1:{proxy.port}")
        error = await failure(a_dialer(), f"http://{host}")
    assert (error.kind, error.retryable) == ("proxy", False)
    assert "more than 255 bytes" in error.text
