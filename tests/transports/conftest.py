"""Every transport under one contract."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from relaydance_async import AsyncRelayDance
from relaydance_async._sansio.target import Network
from relaydance_async._transports import Transport, build_transport
from tests.kit.authority import authority as authority
from tests.kit.authority import trusting as trusting
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client
from tests.kit.loops import Backend, backend_of
from tests.kit.tls import trust
from tests.kit.transports import use_h11
from tests.transports.support import KEY, server_context

OURS = ("direct", "direct with h11", "direct on uvloop", "httpx with h11", "httpx on uvloop")
CALLERS = (
    "the caller's httpx",
    "the caller's httpx on trio",
    "the caller's httpx on uvloop",
    "the caller's httpx2",
    "the caller's httpx over aiohttp",
)


@pytest.fixture(scope="session")
def tls_server(authority: trustme.CA) -> ssl.SSLContext:
    """The context of a server that shows a certificate for 127.0.0.1 and localhost."""
    return server_context(authority.issue_cert("127.0.0.1", "localhost"))


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority's certificate, for SSL_CERT_FILE."""
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def trusted(authority_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own transports trust the authority too: as in a process that began with this environment."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    trust(monkeypatch, None)


@dataclass
class Maker:
    """Makes transports and clients of one kind, which end with the test."""

    kind: str
    stack: AsyncExitStack
    trusting: ssl.SSLContext

    @property
    def is_ours(self) -> bool:
        """Whether connections, proxies and TLS are our own doing, not a client's that the caller made."""
        return self.kind in OURS

    def options(self) -> dict[str, Any]:
        """What `AsyncRelayDance` is told."""
        if self.is_ours:
            return {"transport": self.kind.partition(" ")[0]}
        return {"http_client": self.http_client()}

    def http_client(self) -> Any:
        """A caller's client."""
        library = pytest.importorskip("httpx2" if self.kind.endswith("httpx2") else "httpx")
        options: dict[str, Any] = {"verify": self.trusting}
        if self.kind.endswith("over aiohttp"):
            over = pytest.importorskip("httpx_aiohttp")
            options = {"transport": over.AiohttpTransport(verify=self.trusting)}
        client = library.AsyncClient(**options)
        self.stack.push_async_callback(client.aclose)
        return client

    async def transport(self, *, max_idle: int = 100, network: Network = Network.ANY) -> Transport:
        """A transport alone."""
        options = self.options()
        made = await build_transport(
            options.get("transport", "auto"), options.get("http_client"), max_idle=max_idle, network=network
        )
        self.stack.push_async_callback(made.aclose)
        return made

    def client(self, url: str, clock: QuickClock | None = None, **options: Any) -> AsyncRelayDance:
        """A whole client, whose waits between attempts are over at once."""
        clock = clock or QuickClock()
        client = make_client(KEY, base_url=f"{url}/v1", clock=clock.clock, **{**self.options(), **options})
        self.stack.push_async_callback(client.aclose)
        return client


@pytest.fixture(params=[*OURS, *CALLERS])
def kind(request: pytest.FixtureRequest) -> str:
    """Which transport; a test that is about some of them asks for those by parametrising this fixture."""
    name: str = request.param
    return name


@pytest.fixture
def anyio_backend(kind: str) -> Backend:
    return backend_of(kind)


@pytest.fixture
async def maker(
    kind: str, trusting: ssl.SSLContext, anyio_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Maker]:
    if "with h11" in kind:
        use_h11(monkeypatch)
    async with AsyncExitStack() as stack:
        yield Maker(kind, stack, trusting)


@pytest.fixture
async def transport(maker: Maker) -> Transport:
    return await maker.transport()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither proxies nor certificates from outside."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
