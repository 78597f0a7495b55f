"""`models.list` and `models.retrieve`."""

from __future__ import annotations

from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, InvalidInputError, Model, NotFoundError, ResponseDecodeError
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.routes import MODELS
from tests.resources.support import Bench

pytestmark = pytest.mark.anyio


async def test_the_list_is_iterable_and_is_asked_by_id(client: AsyncRelayDance) -> None:
    models = await client.models.list()
    assert "grok-4.3" in models
    assert "no-such-model" not in models
    assert models.data[0] in models
    assert [model.id for model in models] == [model.id for model in models.data]
    assert len(models) == len(models.data)
    assert models[0] is models.data[0]
    assert models.object == "list"


async def test_a_model_added_by_hand_has_no_endpoint_types(bench: Bench) -> None:
    _, client = bench.start(extra_models={"brand-new": "video"})
    models = {model.id: model for model in await client.models.list()}
    assert models["brand-new"].supported_endpoint_types is None
    task = await client.video.submit(model="brand-new", prompt="a cat")
    assert task.status == "submitted"


async def test_one_model_by_its_id(client: AsyncRelayDance) -> None:
    model = await client.models.retrieve("grok-4.3")
    assert isinstance(model, Model)
    assert model.id == "grok-4.3"


async def test_an_unknown_model_is_not_found_also_under_a_200(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError):
        await client.models.retrieve("no-such-model")
    assert len(sandbox.ledger.entries) == 1


async def test_an_id_with_a_slash_stays_one_segment_of_the_path(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError):
        await client.models.retrieve("vendor/model?x=1#y")
    (entry,) = sandbox.ledger.entries
    assert entry.path.startswith("/v1/models/vendor")


@pytest.mark.parametrize("model", ["", " ", ".", "..", None, 5])
async def test_what_is_no_id_is_refused_before_anything_is_sent(
    client: AsyncRelayDance, sandbox: Sandbox, model: Any
) -> None:
    with pytest.raises(InvalidInputError, match="model"):
        await client.models.retrieve(model)
    assert sandbox.ledger.entries == []


async def test_transient_errors_are_retried(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(MODELS, status=502, body="html", times=2)])
    assert (await client.models.list()).data
    assert sandbox.ledger.count(MODELS) == 3


async def test_a_wrong_base_url_is_told_by_the_web_page_that_answers(bench: Bench) -> None:
    sandbox = bench.sandbox()
    client = bench.client(sandbox, base_url=f"{sandbox.root_url}/console")
    with pytest.raises(ResponseDecodeError, match=r"web page.*base URL"):
        await client.models.list()
