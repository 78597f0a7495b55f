"""TLS: whom a dial trusts, what it says when it doesn't, and when the context is made."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import datetime
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest
import trustme

from relaydance_async import ConfigurationError
from relaydance_async._engine import _tls
from relaydance_async._engine._dial import Dialer
from relaydance_async._engine._tls import build_context, check_certificates, tls_context
from relaydance_async._sansio.target import Network
from tests.engine.dialling import Names, a_dialer, dialled, failure, says_nothing
from tests.kit.waiting import open_files, wait_until
from tests.transports.support import OK, Peer, serve, server_context
from tests.transports.test_tls import subject_hash

pytestmark = pytest.mark.anyio


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's context is not made yet."""
    monkeypatch.setattr(_tls, "_context", None)


async def test_a_server_of_a_trusted_authority_is_spoken_to(
    trusting: ssl.SSLContext, tls_server: ssl.SSLContext
) -> None:
    async with serve(tls=tls_server) as server:
        dialer = a_dialer("127.0.0.1", context=trusting)
        for host in ("127.0.0.1", "gateway.test"):
            heard = await dialled(dialer, f"https://{host}:{server.port}")
            assert await heard.ask() == OK
            assert heard.transport.get_extra_info("ssl_object").selected_alpn_protocol() is None
            await heard.close()
    assert server.connections == 2


async def test_http_1_1_is_asked_for(trusting: ssl.SSLContext, authority: trustme.CA) -> None:
    served = server_context(authority.issue_cert("127.0.0.1"))
    served.set_alpn_protocols(["h2", "http/1.1"])
    async with serve(tls=served) as server:
        heard = await dialled(a_dialer(context=trusting), server.url)
        assert heard.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        await heard.close()


async def test_a_final_dot_of_the_name_is_not_shown_to_the_server(
    trusting: ssl.SSLContext, authority: trustme.CA
) -> None:
    names: list[str | None] = []

    def note(_: ssl.SSLObject | ssl.SSLSocket, name: str | None, __: ssl.SSLContext) -> None:
        names.append(name)

    served = server_context(authority.issue_cert("gateway.test"))
    served.sni_callback = note
    async with serve(tls=served) as server:
        dialer = a_dialer(names=Names({"gateway.test.": ("127.0.0.1",)}), context=trusting)
        heard = await dialled(dialer, f"https://gateway.test.:{server.port}")
        await heard.close()
    assert names == ["gateway.test"]


async def test_a_client_certificate_is_one_of_the_context(authority: trustme.CA) -> None:
    served = server_context(authority.issue_cert("127.0.0.1"))
    served.verify_mode = ssl.CERT_REQUIRED
    cast(Any, authority).configure_trust(served)
    mine = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    cast(Any, authority.issue_cert("me@example.org")).configure_cert(mine)
    async with serve(tls=served) as server:
        heard = await dialled(a_dialer(context=mine), server.url)
        assert await heard.ask() == OK
        await heard.close()


async def test_a_certificate_of_an_unknown_authority_is_final_and_named(
    trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(tls=server_context(trustme.CA().issue_cert("127.0.0.1"))) as server:
        error = await failure(a_dialer(context=trusting), server.url)
        await wait_until(lambda: server.open == 0)
    assert (error.kind, error.retryable) == ("tls", False)
    assert "unable to get local issuer certificate" in error.text
    assert says_nothing(caplog)


async def test_a_certificate_for_another_host_is_final_and_named(
    trusting: ssl.SSLContext, authority: trustme.CA
) -> None:
    async with serve(tls=server_context(authority.issue_cert("other.test"))) as server:
        error = await failure(a_dialer("127.0.0.1", context=trusting), f"https://gateway.test:{server.port}")
    assert (error.kind, error.retryable) == ("tls", False)
    assert "Hostname mismatch, certificate is not valid for 'gateway.test'" in error.text


async def test_an_expired_certificate_is_final_and_named(trusting: ssl.SSLContext, authority: trustme.CA) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    async with serve(tls=server_context(authority.issue_cert("127.0.0.1", not_after=past))) as server:
        error = await failure(a_dialer(context=trusting), server.url)
    assert (error.kind, error.retryable) == ("tls", False)
    assert "certificate has expired" in error.text


async def test_the_wrong_certificate_may_be_that_of_whoever_has_the_address_now(
    trusting: ssl.SSLContext, authority: trustme.CA
) -> None:
    names = Names({"gateway.test": ("127.0.0.1",)})
    async with serve(tls=server_context(authority.issue_cert("other.test"))) as server:
        dialer = a_dialer(names=names, context=trusting)
        for _ in range(2):
            await failure(dialer, f"https://gateway.test:{server.port}")
    assert len(names.asked) == 2


@pytest.mark.parametrize("way", ["reset", "close"])
async def test_a_server_that_drops_in_the_handshake_may_do_better_later(
    trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    async def dropping(peer: Peer) -> None:
        await peer.receive()
        await getattr(peer, way)()

    async with serve(dropping) as server:
        error = await failure(a_dialer(context=trusting), f"https://127.0.0.1:{server.port}")
        await wait_until(lambda: server.open == 0)
    assert (error.kind, error.retryable) == ("tls", True)
    assert error.text == "the connection was closed in the TLS handshake"
    assert says_nothing(caplog)


async def test_a_server_that_speaks_no_tls_is_a_failure(trusting: ssl.SSLContext) -> None:
    async def plain(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await peer.until_gone()

    async with serve(plain) as server:
        error = await failure(a_dialer(context=trusting), f"https://127.0.0.1:{server.port}")
    assert error.kind == "tls"


async def test_what_the_server_says_first_comes_to_the_protocol(
    trusting: ssl.SSLContext, tls_server: ssl.SSLContext
) -> None:
    async def first(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        await peer.until_gone()

    async with serve(first, tls=tls_server) as server:
        for _ in range(10):
            heard = await dialled(a_dialer(context=trusting), server.url)
            await wait_until(lambda: heard.data.startswith(b"HTTP/1.1 408"))  # noqa: B023  (it is over by then)
            await heard.close()


async def test_a_handshake_that_hangs_can_be_cancelled(trusting: ssl.SSLContext) -> None:
    async def silent(peer: Peer) -> None:
        await peer.until_gone()

    async with serve(silent) as server:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(dialled(a_dialer(context=trusting), f"https://127.0.0.1:{server.port}"), 0.05)
        await wait_until(lambda: server.open == 0)


async def test_cancelled_at_any_step_it_leaves_no_socket_and_no_task(
    trusting: ssl.SSLContext, tls_server: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(tls=tls_server) as server:
        dialer = a_dialer("127.0.0.1", context=trusting)
        url = f"https://gateway.test:{server.port}"
        await (await dialled(dialer, url)).close()
        await wait_until(lambda: server.open == 0)
        files, tasks = open_files(), asyncio.all_tasks()
        for steps in range(40):
            task = asyncio.create_task(dialled(dialer, url))
            for _ in range(steps):
                await asyncio.sleep(0)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                await (await task).close()
        await wait_until(lambda: server.open == 0)
        await wait_until(lambda: asyncio.all_tasks() == tasks)
        await wait_until(lambda: open_files() <= files)
    assert says_nothing(caplog)


# The process's context.


@pytest.mark.usefixtures("new_process")
async def test_the_context_is_made_once_off_the_event_loop(
    authority_file: Path, tls_server: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    threads: list[threading.Thread] = []

    def noted() -> ssl.SSLContext:
        threads.append(threading.current_thread())
        return build_context()

    monkeypatch.setattr(_tls, "build_context", noted)
    async with serve(tls=tls_server) as server:
        dialers = [Dialer(Network.ANY) for _ in range(4)]
        for heard in await asyncio.gather(*(dialled(dialer, server.url) for dialer in dialers * 2)):
            await heard.close()
    assert server.connections == 8
    assert [thread.daemon for thread in threads] == [True]
    assert threads[0] is not threading.current_thread()


@pytest.mark.usefixtures("new_process")
async def test_those_who_ask_together_wait_for_one_thread_and_each_has_its_own_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on = threading.Event()
    made: list[str] = []

    def slow() -> ssl.SSLContext:
        made.append(threading.current_thread().name)
        go_on.wait(10)
        if len(made) == 1:
            raise ConfigurationError("it can't be used")
        return build_context()

    monkeypatch.setattr(_tls, "build_context", slow)
    before = threading.active_count()
    asked = [asyncio.create_task(tls_context()) for _ in range(100)]
    await wait_until(lambda: bool(made))
    assert threading.active_count() - before <= 1
    asked[0].cancel()
    go_on.set()
    first, *others = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert {str(error) for error in others} == {"it can't be used"}
    assert len(set(map(id, others))) == 99
    contexts = await asyncio.gather(*(tls_context() for _ in range(10)))
    assert len(made) == 2
    assert len(set(contexts)) == 1


async def test_who_asks_when_it_was_just_made_gets_that_one() -> None:
    context = await tls_context()
    making = _tls._begin()  # as of one who looked a moment before
    assert await asyncio.wrap_future(making) is context
    assert await tls_context() is context


@pytest.mark.usefixtures("new_process")
def test_a_loop_that_is_closed_meanwhile_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()

    def slow() -> ssl.SSLContext:
        go_on.wait(10)
        return build_context()

    monkeypatch.setattr(_tls, "build_context", slow)
    loop = asyncio.new_event_loop()
    asking = loop.create_task(tls_context())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    go_on.set()
    assert asyncio.run(tls_context()) is asyncio.run(tls_context())
    assert not caplog.records
    setattr(asking, "_log_destroy_pending", False)  # noqa: B010  (asyncio's own: it would tell of it when it is collected)
    asking.get_coro().close()


@pytest.mark.usefixtures("new_process")
async def test_plain_http_needs_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tls, "build_context", lambda: pytest.fail("it was made"))
    async with serve() as server:
        await (await dialled(Dialer(Network.ANY), server.url)).close()


@pytest.mark.usefixtures("new_process")
async def test_the_certificates_may_lie_in_a_directory(
    authority: trustme.CA, tls_server: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / f"{subject_hash(authority)}.0"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    async with serve(tls=tls_server) as server:
        await (await dialled(Dialer(Network.ANY), server.url)).close()


@pytest.mark.usefixtures("new_process")
async def test_by_default_it_trusts_those_whom_httpx_trusts() -> None:
    context = await tls_context()
    assert context is await tls_context()
    import httpx

    theirs = httpx.create_ssl_context()
    assert context.get_ca_certs() == theirs.get_ca_certs()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (context.options, context.minimum_version) == (theirs.options, theirs.minimum_version)


@pytest.mark.usefixtures("new_process")
@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_certificates_that_are_not_there_are_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=name):
        check_certificates()
    if name == "SSL_CERT_FILE":
        with pytest.raises(ConfigurationError, match=name):
            await dialled(Dialer(Network.ANY), "https://127.0.0.1:9")


@pytest.mark.usefixtures("new_process")
async def test_a_file_without_certificates_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    check_certificates()
    async with serve() as server:
        with pytest.raises(ConfigurationError, match="SSL_CERT_FILE holds no certificates"):
            await dialled(Dialer(Network.ANY), f"https://127.0.0.1:{server.port}")
        await wait_until(lambda: server.open == 0)


def test_it_needs_no_httpx() -> None:
    program = "import relaydance_async._engine._dial, sys; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
