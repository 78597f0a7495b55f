"""The engine on both event loops, in an environment without proxies and certificates."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from tests.kit.authority import authority as authority
from tests.kit.authority import trusting as trusting
from tests.kit.loops import Backend, backend_of
from tests.transports.support import server_context


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_name(request: pytest.FixtureRequest) -> str:
    """Which event loop."""
    name: str = request.param
    return name


@pytest.fixture
def anyio_backend(loop_name: str) -> Backend:
    return backend_of(f"any on {loop_name}")


@pytest.fixture(scope="session")
def tls_server(authority: trustme.CA) -> ssl.SSLContext:
    """The context of a server that shows a certificate for this machine and gateway.test."""
    return server_context(authority.issue_cert("127.0.0.1", "0.0.0.0", "localhost", "gateway.test"))


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither proxies nor certificates from outside."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority's certificate, for SSL_CERT_FILE."""
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path
