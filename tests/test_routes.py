"""Every route is declared once, beside its resource; whatever lists routes by hand is held against that table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relaydance_async.resources._route import declared_routes
from relaydance_async.sandbox._routes import ROUTES as SANDBOX_ROUTES
from tests.kit import routes
from tests.kit.calls import BILLED, CALLS
from tests.kit.thin import THIN
from tests.torture.cancel_scenarios import SCENARIOS
from tests.torture.fault_stage import ENDPOINTS

ROOT = Path(__file__).parents[1]
ALL = declared_routes()
ROUTES = [route for route in ALL if not route.thin]
"""Those with code of their own. The thin ones are what `client.request` sends too, which tests/resources/ has."""
BILLED_NAMES = sorted(route.name for route in ROUTES if route.billed)


def in_sandbox(method: str, path: str) -> str:
    return f"{method} {path if path.startswith('/api/') else f'/v1{path}'}"


TEMPLATES = {in_sandbox(route.method, route.path): route for route in ROUTES}


def test_each_route_stands_in_the_table_once() -> None:
    assert len(ROUTES) == len(TEMPLATES)
    assert {route.returns.returns for route in ROUTES} >= {"ChatCompletion", "VideoTask", "bytes"}


def test_the_sandbox_answers_each_route() -> None:
    assert {in_sandbox(route.method, route.path) for route in ALL} <= {route.template for route in SANDBOX_ROUTES}


def test_the_tests_name_each_route() -> None:
    named = {value for name, value in vars(routes).items() if name.isupper() and not value.startswith("CDN")}
    assert named == set(TEMPLATES)


def test_the_tests_call_each_thin_route() -> None:
    named = {in_sandbox(route.method, route.path): route.name for route in ALL if route.thin and route.billed}
    assert named == {thin.route: thin.method for thin in THIN}
    assert [route.name for route in ALL if route.thin and not route.billed] == ["videos.retrieve"]


def test_the_tests_call_each_billed_route() -> None:
    assert set(BILLED) == {template for template, route in TEMPLATES.items() if route.billed}
    assert set(CALLS) <= set(TEMPLATES)


@pytest.mark.parametrize("name", sorted({route.name for route in ROUTES}))
def test_each_route_meets_every_fault_and_is_cancelled_at_every_step(name: str) -> None:
    assert name in {endpoint.name for endpoint in ENDPOINTS}
    assert any(scenario.startswith(name) for scenario in SCENARIOS)


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("docs/retries.md", r"Billed are (.*?)\. An upload"),
        ("docs/faults.md", r"- (`video\.submit`.*?) are billed POSTs"),
    ],
)
def test_the_documents_list_what_is_billed(page: str, sentence: str) -> None:
    found = re.search(sentence, (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    assert sorted(re.findall(r"`([\w.]+)`", found[1])) == BILLED_NAMES
