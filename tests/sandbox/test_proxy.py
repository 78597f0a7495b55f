"""Every kind of connection fault, seen from both sides of the proxy."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from relaydance_async.sandbox import ConnectionFault, FaultyProxy, Sandbox
from tests.kit.routes import MODELS, SUBMIT
from tests.kit.tls import build_tls
from tests.kit.waiting import block_until

HEADERS = {"authorization": f"Bearer {Sandbox.DEFAULT_KEY}"}


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, verify=False, timeout=5, headers=HEADERS) as client:
        yield client


def models(http: httpx.Client, proxy: FaultyProxy, **options: Any) -> httpx.Response:
    return http.get(f"{proxy.base_url}/models", **options)


def test_without_a_fault_everything_passes(sandbox: Sandbox, http: httpx.Client) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        direct = http.get(f"{sandbox.base_url}/models").json()
        assert [models(http, proxy).json() for _ in range(3)] == [direct] * 3
        assert (proxy.connections, proxy.requests, proxy.fired) == (1, 3, {})
        assert proxy.root_url == f"http://127.0.0.1:{proxy.port}"


def test_a_large_upload_and_download_pass_whole(sandbox: Sandbox, http: httpx.Client) -> None:
    content = bytes(range(256)) * 20_000
    with FaultyProxy(sandbox.root_url) as api, FaultyProxy(sandbox.cdn_url) as cdn:
        url = http.post(f"{api.base_url}/files", files={"file": content}).json()["url"]
        assert http.get(url.replace(sandbox.cdn_url, cdn.root_url)).content == content


def test_a_refused_connection_never_reaches_the_target(sandbox: Sandbox, http: httpx.Client) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("refuse", at=(1,))]) as proxy:
        # A reset that is there before the request is sent ends the writing; what is read afterwards looks like a FIN.
        with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
            models(http, proxy)
        assert models(http, proxy).status_code == 200
        assert (proxy.connections, sandbox.ledger.count()) == (2, 1)


def test_reset_before_request_keeps_it_from_the_target(sandbox: Sandbox, http: httpx.Client) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_before_request")]) as proxy:
        with pytest.raises(httpx.NetworkError):
            models(http, proxy)
        assert sandbox.ledger.count() == 0
        assert proxy.fired == {"reset_before_request": 1}


def test_reset_after_request_loses_an_answer_that_was_given(sandbox: Sandbox, http: httpx.Client) -> None:
    body = {"model": "grok-imagine-video", "prompt": "x"}
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request")]) as proxy:
        with pytest.raises(httpx.NetworkError):
            http.post(f"{proxy.base_url}/video/generations", json=body)
        assert sandbox.ledger.billed(SUBMIT) == 1


def raw_answer(proxy: FaultyProxy) -> tuple[bytes, bool]:
    """What arrives on a bare socket, and whether it ended in a FIN."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as sock:
        sock.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-sandbox-0001\r\n\r\n")
        data = b""
        try:
            while piece := sock.recv(65536):
                data += piece
        except ConnectionResetError:
            return data, False
        return data, True


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("after_bytes", [1, 300, 500])
def test_a_response_is_cut_after_so_many_bytes(sandbox: Sandbox, after_bytes: int, fin: bool) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("cut_response", after_bytes=after_bytes, fin=fin)]) as proxy:
        data, orderly = raw_answer(proxy)
    assert orderly == fin
    assert len(data) <= after_bytes
    if fin:
        assert len(data) == after_bytes
    assert sandbox.ledger.count() == 1


def test_a_reset_within_the_headers(sandbox: Sandbox, http: httpx.Client) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_mid_headers")]) as proxy:
        data, orderly = raw_answer(proxy)
        assert not orderly
        assert b"\r\n\r\n" not in data
        with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
            models(http, proxy)


def test_a_reset_within_the_request_keeps_the_rest_from_the_target(sandbox: Sandbox, http: httpx.Client) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_mid_request", after_bytes=1000)]) as proxy:
        with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
            http.post(f"{proxy.base_url}/files", files={"file": b"x" * 100_000})
        assert proxy.fired == {"reset_mid_request": 1}
        proxy.clear()
        assert models(http, proxy).status_code == 200
    assert sandbox.ledger.count() == 1


@pytest.mark.parametrize("after_bytes", [0, 100])
def test_a_reset_within_the_body_comes_after_the_whole_head(sandbox: Sandbox, after_bytes: int) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_mid_body", after_bytes=after_bytes)]) as proxy:
        data, orderly = raw_answer(proxy)
    assert not orderly
    assert len(data.partition(b"\r\n\r\n")[2]) == (after_bytes or 8)


def test_silence_within_the_body_begins_after_some_of_it(sandbox: Sandbox, http: httpx.Client) -> None:
    fault = ConnectionFault("silence_mid_body", after_bytes=5, per="request", times=1)
    with FaultyProxy(sandbox.root_url, [fault]) as proxy:
        with http.stream("GET", f"{proxy.base_url}/models", timeout=0.05) as answer:
            pieces = answer.iter_raw()
            assert len(next(pieces)) == 5
            with pytest.raises(httpx.ReadTimeout):
                next(pieces)
        assert proxy.silences == 1
        assert models(http, proxy).status_code == 200


def test_a_closed_port_refuses_until_it_is_opened_again(sandbox: Sandbox, http: httpx.Client) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        assert models(http, proxy).status_code == 200
        for _ in range(2):
            proxy.close_port()
            # Connections that are open stay, so a client without any.
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{proxy.base_url}/models", trust_env=False)
            assert models(http, proxy).status_code == 200
            with pytest.raises(OSError, match="in use"), socket.socket() as thief:
                thief.bind(("127.0.0.1", proxy.port))
            proxy.open_port()
            assert httpx.get(f"{proxy.base_url}/models", trust_env=False, headers=HEADERS).status_code == 200
        proxy.close_port()
    assert sandbox.ledger.count() == 5


def test_a_proxy_speaks_tls_and_can_stop_speaking_it(sandbox: Sandbox) -> None:
    served, authority = build_tls()
    trusted = ssl.create_default_context(cadata=authority)
    with FaultyProxy(sandbox.root_url, tls=served) as proxy:
        assert proxy.root_url == f"https://127.0.0.1:{proxy.port}"
        for tls in (True, False, True):
            proxy.open_port(tls=tls)
            with httpx.Client(trust_env=False, verify=trusted, headers=HEADERS) as http:
                if tls:
                    assert models(http, proxy).status_code == 200
                else:
                    with pytest.raises(httpx.ConnectError, match="SSL"):
                        models(http, proxy)
    assert sandbox.ledger.count(MODELS) == 2


@pytest.mark.parametrize(("kind", "seen"), [("black_hole", 0), ("black_hole_response", 1)])
@pytest.mark.parametrize("per", ["connection", "request"])
def test_a_black_hole_is_silent(sandbox: Sandbox, http: httpx.Client, kind: Any, seen: int, per: Any) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault(kind, per=per)]) as proxy:
        with pytest.raises(httpx.ReadTimeout):
            models(http, proxy, timeout=0.05)
        assert sandbox.ledger.count(MODELS) == seen
        assert proxy.silences == 1


def test_a_drip_takes_its_time_and_loses_nothing(sandbox: Sandbox, http: httpx.Client) -> None:
    whole = http.get(f"{sandbox.base_url}/models").content
    fault = ConnectionFault("drip", after_bytes=200, interval=0.005)
    with FaultyProxy(sandbox.root_url, [fault]) as proxy:
        began = time.monotonic()
        assert models(http, proxy).content == whole
        assert time.monotonic() - began > len(whole) / 200 * 0.005


def test_a_drip_can_be_given_as_a_rate(sandbox: Sandbox, http: httpx.Client) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("drip", after_bytes=500, rate=50_000)]) as proxy:
        began = time.monotonic()
        size = len(models(http, proxy).content)
        assert time.monotonic() - began > size / 50_000


@pytest.mark.parametrize("kind", ["huge_header", "endless_headers"])
def test_headers_out_of_all_proportion(sandbox: Sandbox, http: httpx.Client, kind: Any) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault(kind)]) as proxy:
        with pytest.raises((httpx.RemoteProtocolError, httpx.NetworkError)):
            models(http, proxy)
        assert sandbox.ledger.count(MODELS) == 1


def test_a_fault_per_request_meets_the_nth_on_a_kept_connection(sandbox: Sandbox, http: httpx.Client) -> None:
    fault = ConnectionFault("reset_after_request", per="request", at=(3,))
    with FaultyProxy(sandbox.root_url, [fault]) as proxy:
        assert [models(http, proxy).status_code for _ in range(2)] == [200, 200]
        with pytest.raises(httpx.NetworkError):
            models(http, proxy)
        assert models(http, proxy).status_code == 200
        assert (proxy.connections, proxy.requests) == (2, 4)


def test_every_times_and_seeded_probability_choose_connections(sandbox: Sandbox) -> None:
    def outcomes(**options: Any) -> list[bool]:
        with FaultyProxy(sandbox.root_url, [ConnectionFault("refuse", **options)], seed=5) as proxy:
            # A reset may come before or after the request is sent; only the outcome counts here.
            return [b"200 OK" in attempt(proxy) for _ in range(8)]

    def attempt(proxy: FaultyProxy) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as sock:
                sock.sendall(b"GET /v1/x HTTP/1.0\r\n\r\n")
                return b"200 OK" if sock.recv(100) else b""
        except ConnectionError:
            return b""

    assert outcomes(every=2) == [True, False] * 4
    assert outcomes(times=3) == [False] * 3 + [True] * 5
    drawn = outcomes(probability=0.5)
    assert drawn == outcomes(probability=0.5)
    assert len(set(drawn)) == 2


def test_faults_can_be_added_and_cleared_while_running(sandbox: Sandbox, http: httpx.Client) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        models(http, proxy)
        proxy.add(ConnectionFault("reset_before_request", per="request"))
        with pytest.raises(httpx.NetworkError):
            models(http, proxy)
        proxy.clear()
        assert models(http, proxy).status_code == 200


def test_reset_all_breaks_every_open_connection(sandbox: Sandbox) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        socks = [socket.create_connection(("127.0.0.1", proxy.port), timeout=5) for _ in range(3)]
        block_until(lambda: proxy.open_connections == 3)
        proxy.reset_all()
        for sock in socks:
            with sock, pytest.raises(ConnectionResetError):
                sock.recv(1)
        block_until(lambda: proxy.open_connections == 0)


def test_a_paused_proxy_holds_bytes_back_until_resumed(sandbox: Sandbox, http: httpx.Client) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        proxy.pause()
        with pytest.raises(httpx.ReadTimeout):
            models(http, proxy, timeout=0.05)
        assert sandbox.ledger.count() == 0
        proxy.resume()
        assert models(http, proxy).status_code == 200


def test_a_dead_target_looks_like_a_reset(http: httpx.Client) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        target = unused.getsockname()
    with FaultyProxy((target[0], target[1])) as proxy, pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        models(http, proxy)


@pytest.mark.parametrize("target", ["https://x.test", "not a url", "127.0.0.1:80"])
def test_a_target_must_be_plain_http(target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        FaultyProxy(target)


def test_faults_that_make_no_sense_are_mistakes() -> None:
    kind: Any = "explode"
    with pytest.raises(ValueError, match="explode"):
        ConnectionFault(kind)
    with pytest.raises(ValueError, match="before there is a request"):
        ConnectionFault("refuse", per="request")


def test_a_proxy_that_stops_leaves_no_thread_and_may_start_again(sandbox: Sandbox, http: httpx.Client) -> None:
    before = threading.active_count()
    proxy = FaultyProxy(sandbox.root_url)
    for _ in range(2):
        with proxy:
            assert models(http, proxy).status_code == 200
        assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="not running"):
        _ = proxy.base_url


@pytest.mark.anyio
async def test_a_proxy_is_an_async_context_manager_too(sandbox: Sandbox) -> None:
    async with (
        FaultyProxy(sandbox.root_url) as proxy,
        httpx.AsyncClient(trust_env=False, verify=False, headers=HEADERS) as http,
    ):
        assert (await http.get(f"{proxy.base_url}/models")).status_code == 200
