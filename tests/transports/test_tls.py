"""TLS: whom a transport trusts, what it says when it doesn't, and when the context is made."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import datetime
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import trustme
from cryptography import x509

from relaydance_async import APIConnectionError, APITimeoutError
from relaydance_async._engine import _tls
from relaydance_async._sansio.breakage import Progress
from relaydance_async._sansio.timeout import Timeout
from relaydance_async._transports import Transport
from tests.kit.calls import ask_chat
from tests.kit.tls import trust
from tests.kit.waiting import wait_until
from tests.transports.conftest import OURS, Maker
from tests.transports.support import OK, UNSENT, Peer, fetch, over_every_transport, serve, server_context

pytestmark = over_every_transport

only_ours = pytest.mark.parametrize("kind", OURS)


@pytest.mark.usefixtures("trusted")
async def test_a_server_of_a_trusted_authority_is_spoken_to(transport: Transport, tls_server: ssl.SSLContext) -> None:
    async with serve(tls=tls_server) as server:
        for host in ("127.0.0.1", "localhost"):
            for _ in range(2):
                assert await fetch(transport, f"https://{host}:{server.port}/") == (200, b"ok")
        await transport.aclose()
    assert (server.connections, len(server.heads)) == (2, 4)


@only_ours
async def test_the_certificates_may_lie_in_a_directory(
    transport: Transport,
    authority: trustme.CA,
    tls_server: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / f"{subject_hash(authority)}.0"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    trust(monkeypatch, None)
    async with serve(tls=tls_server) as server:
        assert await fetch(transport, server.url) == (200, b"ok")
        await transport.aclose()


def subject_hash(authority: trustme.CA) -> str:
    """The name under which OpenSSL looks for a certificate in a directory: a hash of its subject in lower case."""
    subject = x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject
    canonical = b"".join(
        x509.Name([x509.NameAttribute(part.oid, str(part.value).lower())]).public_bytes()[2:] for part in subject
    )
    return f"{int.from_bytes(hashlib.sha1(canonical, usedforsecurity=False).digest()[:4], 'little'):08x}"


async def says(maker: Maker, url: str) -> APIConnectionError:
    with pytest.raises(APIConnectionError) as caught:
        await ask_chat(maker.client(url))
    assert not caught.value.maybe_accepted
    return caught.value


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_of_an_unknown_authority_is_final_and_named(maker: Maker) -> None:
    async with serve(tls=server_context(trustme.CA().issue_cert("127.0.0.1"))) as server:
        error = await says(maker, server.url)
    assert (server.heads, len(error.attempts), error.retryable) == ([], 1, False)
    assert "unable to get local issuer certificate" in error.message


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_for_another_host_is_final_and_named(maker: Maker, authority: trustme.CA) -> None:
    async with serve(tls=server_context(authority.issue_cert("other.test"))) as server:
        error = await says(maker, f"https://localhost:{server.port}")
    assert (server.heads, len(error.attempts), error.retryable) == ([], 1, False)
    assert "Hostname mismatch, certificate is not valid for 'localhost'" in error.message


@pytest.mark.usefixtures("trusted")
async def test_an_expired_certificate_is_final_and_named(maker: Maker, authority: trustme.CA) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    async with serve(tls=server_context(authority.issue_cert("127.0.0.1", not_after=past))) as server:
        error = await says(maker, server.url)
    assert (server.heads, len(error.attempts), error.retryable) == ([], 1, False)
    assert "certificate has expired" in error.message


@pytest.mark.usefixtures("trusted")
async def test_a_server_that_drops_in_the_handshake_is_tried_again_for_a_billed_call_too(maker: Maker) -> None:
    async def dropping(peer: Peer) -> None:
        await peer.receive()
        await peer.reset()

    async with serve(dropping) as server:
        error = await says(maker, f"https://127.0.0.1:{server.port}")
        await wait_until(lambda: server.open == 0)
    assert server.connections == len(error.attempts)
    assert server.connections in (UNSENT, 4)
    assert error.retryable


@pytest.mark.usefixtures("trusted")
async def test_a_server_that_speaks_no_tls_is_an_error_and_nothing_was_sent(maker: Maker) -> None:
    async def plain(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await peer.until_gone()

    async with serve(plain) as server:
        await says(maker, f"https://127.0.0.1:{server.port}")


@pytest.mark.usefixtures("trusted")
async def test_a_handshake_that_hangs_ends_with_the_connect_timeout(maker: Maker) -> None:
    async def silent(peer: Peer) -> None:
        await peer.until_gone()

    async with serve(silent) as server:
        client = maker.client(f"https://127.0.0.1:{server.port}", timeout=Timeout(0.05, 5.0, 5.0))
        with anyio.fail_after(10), pytest.raises(APITimeoutError, match=r"no connection within 0\.05 s") as caught:
            await ask_chat(client)
        await wait_until(lambda: server.open == 0)
    assert server.connections in (UNSENT, 4)
    assert not caught.value.maybe_accepted


@only_ours
@pytest.mark.usefixtures("trusted")
async def test_a_deadline_that_passes_in_the_handshake_closes_the_socket_and_nothing_was_sent(maker: Maker) -> None:
    """httpx's own pool leaves such a socket to the garbage collector (httpcore 1.0)."""

    async def silent(peer: Peer) -> None:
        await peer.until_gone()

    async with serve(silent) as server:
        with pytest.raises(APITimeoutError) as caught:
            await ask_chat(maker.client(f"https://127.0.0.1:{server.port}", deadline=0.05))
        await wait_until(lambda: server.open == 0)
    assert not caught.value.maybe_accepted


@only_ours
@pytest.mark.usefixtures("trusted")
async def test_the_context_is_made_once_off_the_event_loop(
    maker: Maker, tls_server: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    make = _tls.build_context

    def noted() -> ssl.SSLContext:
        threads.append(threading.get_ident())
        return make()

    monkeypatch.setattr(_tls, "build_context", noted)
    first, second = await maker.transport(), await maker.transport()
    assert threads == []
    async with serve(tls=tls_server) as server:
        async with anyio.create_task_group() as group:
            for transport in (first, second) * 4:
                group.start_soon(fetch, transport, server.url)
        await first.aclose()
        await second.aclose()
    assert len(server.heads) == 8
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


@only_ours
async def test_plain_http_needs_no_context(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    trust(monkeypatch, None)
    monkeypatch.setattr(_tls, "build_context", lambda: asked.append(True))
    async with serve() as server:
        assert await fetch(transport, server.url) == (200, b"ok")
    assert not asked


class Quiet:
    """A server in a thread that shakes hands, and then does one thing with each connection."""

    def __init__(self, context: ssl.SSLContext, then: Callable[[ssl.SSLSocket], None]) -> None:
        self._context = context
        self._then = then
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(30)
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.connections = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                self.connections += 1
                plain.settimeout(10)
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    self._then(connection)

    def __enter__(self) -> Quiet:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


class Journalled(Progress):
    """Somebody has to be asked before a request leaves; meanwhile things arrive that the loop hasn't read yet."""

    def sending(self) -> Awaitable[None]:
        super().sending()
        return self._wait()

    async def _wait(self) -> None:
        await anyio.lowlevel.checkpoint()
        time.sleep(0.1)  # noqa: ASYNC251  (the loop must not read)


@only_ours
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("body", [b"x", bytes(200_000)], ids=["small", "large"])
async def test_what_tls_sends_after_the_handshake_does_not_cost_an_attempt(
    transport: Transport, tls_server: ssl.SSLContext, body: bytes
) -> None:
    def answer(connection: ssl.SSLSocket) -> None:
        came = b""
        while not came.endswith(b"\r\n\r\n" + body):
            if not (piece := connection.recv(65536)):
                return
            came += piece
        connection.sendall(OK)

    with Quiet(tls_server, answer) as server:  # TLS 1.3: it sends two tickets
        assert await fetch(transport, server.url, "POST", body=body, progress=Journalled()) == (200, b"ok")
        await transport.aclose()
    assert server.connections == 1


@only_ours
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("says", [b"", OK], ids=["its end", "an answer unasked"])
async def test_a_connection_that_tls_ends_or_speaks_on_before_the_first_byte_takes_no_request(
    transport: Transport, tls_server: ssl.SSLContext, says: bytes
) -> None:
    with Quiet(tls_server, lambda connection: connection.sendall(says)) as server:
        with pytest.raises(APIConnectionError) as caught:
            await fetch(transport, server.url, "POST", body=b"x", progress=Journalled())
        await transport.aclose()
    assert (caught.value.retryable, caught.value.maybe_accepted) == (True, False)


@only_ours
async def test_what_tls_says_on_an_idle_connection_does_not_end_it(
    transport: Transport, authority: trustme.CA, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is readable then, and nothing of it is for us."""
    served = server_context(authority.issue_cert("127.0.0.1"))
    served.verify_mode, served.post_handshake_auth = ssl.CERT_OPTIONAL, True
    mine = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    mine.post_handshake_auth = True
    trust(monkeypatch, mine)
    speak, spoken = threading.Event(), threading.Event()

    def run(connection: ssl.SSLSocket) -> None:
        for _ in range(2):
            while not connection.recv(65536).endswith(b"\r\n\r\n"):
                pass
            connection.sendall(OK)
            speak.wait(10)
            connection.verify_client_post_handshake()
            connection.do_handshake()
            spoken.set()

    with Quiet(served, run) as server:
        await fetch(transport, server.url)
        speak.set()
        assert spoken.wait(10)  # the loop doesn't read meanwhile
        assert await fetch(transport, server.url) == (200, b"ok")
        await transport.aclose()
    assert server.connections == 1
