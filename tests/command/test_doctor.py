"""`relaydance doctor`: each thing that can be wrong is found, and has something to do about it."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from relaydance_async.cli._service import clock_line
from relaydance_async.sandbox import Account, Fault
from tests.command.support import Desk, Sit
from tests.kit.routes import MODELS

CHECKS = ["versions", "profile", "key", "base URL", "proxy", "DNS", "TLS", "API", "clock", "balance", "models"]


def examined(desk: Desk, *arguments: str, code: int) -> dict[str, dict[str, str]]:
    """What the doctor found, by check."""
    done = desk("doctor", "--output", "json", *arguments)
    assert (done.code, done.err) == (code, "")
    assert desk.sandbox.api_key not in done.out
    found = {line["check"]: line for line in json.loads(done.out)}
    for line in found.values():
        assert (line["state"] == "ok") == (line["what_to_do"] == "")
    return found


def test_all_is_well(desk: Desk) -> None:
    found = examined(desk, code=0)
    assert list(found) == CHECKS
    assert {line["state"] for line in found.values()} == {"ok"}
    assert desk.sandbox.ledger.billed() == 0
    table = desk("doctor")
    assert all(check in table.out for check in CHECKS)


def test_no_key_and_the_way_is_examined_all_the_same(desk: Desk) -> None:
    desk.unset("RELAYDANCE_API_KEY")
    found = examined(desk, code=1)
    assert (found["key"]["state"], found["DNS"]["state"]) == ("wrong", "ok")
    assert "API" not in found


def test_a_wrong_key(desk: Desk) -> None:
    desk.set(RELAYDANCE_API_KEY="sk-wrong-0001")
    found = examined(desk, code=1)
    assert found["API"]["state"] == "wrong"
    assert "console" in found["API"]["what_to_do"]
    assert found["clock"]["state"] == "ok"


@pytest.mark.parametrize(
    ("address", "check"),
    [
        ("nonsense", "base URL"),
        ("http://example.com/v1", "base URL"),
        ("https://nothing.invalid/v1", "DNS"),
        ("https://127.0.0.1:1/v1", "TLS"),
        ("http://127.0.0.1:1/v1", "TLS"),
    ],
)
def test_a_wrong_address(desk: Desk, address: str, check: str) -> None:
    found = examined(desk, "--base-url", address, code=1)
    assert found[check]["state"] == "wrong"


def test_an_address_without_its_path(desk: Desk) -> None:
    found = examined(desk, "--base-url", desk.sandbox.root_url, code=1)
    assert "/v1" in found["API"]["what_to_do"]


def test_a_proxy(desk: Desk) -> None:
    desk.set(https_proxy="ftp://proxy:3128")
    assert examined(desk, "--base-url", "https://example.invalid/v1", code=1)["proxy"]["state"] == "wrong"
    desk.set(https_proxy="http://user:secret@proxy.invalid:3128")
    found = examined(desk, "--base-url", "https://example.invalid/v1", code=1)
    assert "proxy.invalid:3128" in found["proxy"]["found"]
    assert "secret" not in json.dumps(found)
    assert found["DNS"]["state"] == "wrong"


def test_a_config_file_that_is_wrong(desk: Desk) -> None:
    desk.config("nonsense = 1")
    assert desk("doctor").code in (1, 2)


@pytest.mark.parametrize(("seconds", "way"), [(3600, "behind"), (-3600, "ahead of")])
def test_a_clock_that_is_wrong(seconds: int, way: str) -> None:
    line = clock_line("Sun, 06 Nov 1994 08:49:37 GMT", lambda: 784_111_777 - seconds).record()
    assert (line["state"], line["found"]) == ("look", f"3600 s {way} the gateway's")


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 06 Nov 99999 08:49:37 GMT"])
def test_an_answer_without_a_date(date: str | None) -> None:
    assert clock_line(date).record()["state"] == "ok"


def test_little_money_and_few_models(sit: Sit) -> None:
    desk = sit(accounts={"sk-poor-00001": Account(balance_usd=0.5, models=("grok-4.3",))})
    found = examined(desk, code=0)
    assert (found["balance"]["state"], found["models"]["state"]) == ("look", "look")
    assert "grok-imagine-image" in found["models"]["what_to_do"]


def test_no_models_and_no_balance(sit: Sit) -> None:
    desk = sit(accounts={"sk-none-00001": Account(models=(), balance_offered=False)})
    found = examined(desk, code=0)
    assert (found["balance"]["state"], found["models"]["found"]) == ("look", "none")


@pytest.mark.parametrize(("status", "body"), [(200, "html"), (404, "auto"), (403, "html"), (502, "html")])
def test_somebody_else_answers(desk: Desk, status: int, body: str) -> None:
    desk.sandbox.faults.add(Fault(MODELS, status=status, body=body))
    assert examined(desk, code=1)["API"]["state"] == "wrong"


class Web(BaseHTTPRequestHandler):
    """Says that it is no API."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_tls(desk: Desk, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    server = HTTPServer(("127.0.0.1", 0), Web)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"https://localhost:{server.server_port}/v1"
        distrusted = examined(desk, "--base-url", address, code=1)["TLS"]
        assert (distrusted["state"], "SSL_CERT_FILE" in distrusted["what_to_do"]) == ("wrong", True)
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        desk.set(SSL_CERT_FILE=str(tmp_path / "authority.pem"))
        done = desk.run("doctor", "--output", "json", "--base-url", address)
        trusted = {line["check"]: line for line in json.loads(done.out)}
        assert trusted["TLS"]["found"].startswith("TLSv1.")
        assert trusted["API"]["state"] == "wrong"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
