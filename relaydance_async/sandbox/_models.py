"""GET /v1/models and GET /v1/models/{id}."""

from __future__ import annotations

from ._catalog import ENDPOINT_TYPES, Kind
from ._exchange import Answer, Exchange
from ._json import Json, dump
from ._state import State

CREATED = 1626777600


async def list_models(state: State, exchange: Exchange) -> Answer:
    allowed = state.account_of(exchange).models
    models = state.models().items()
    data = [build_model(state, name, kind) for name, kind in models if allowed is None or name in allowed]
    body: Json = {"object": "list", "data": data}
    if state.dialect == "gateway":
        body["success"] = True
    return Answer(200, dump(body))


async def fetch_model(state: State, exchange: Exchange) -> Answer:
    name = exchange.params["model"]
    kind = state.models().get(name)
    if kind is not None:
        return Answer(200, dump(build_model(state, name, kind)))
    message = f"The model '{name}' does not exist"
    if state.dialect == "documented":
        body: Json = {"error": {"message": message, "type": "not_found_error"}}
        return Answer(404, dump(body), accepted=False, code="not_found_error")
    # An error under a 200: the status alone lies.
    error = {"message": message, "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
    return Answer(200, dump({"error": error}), accepted=False, code="model_not_found")


def build_model(state: State, name: str, kind: Kind) -> Json:
    model: Json = {"id": name, "object": "model", "created": CREATED, "owned_by": "custom"}
    if state.dialect == "gateway":
        # Models that were added by hand come without it.
        model["supported_endpoint_types"] = None if name in state.extra_models else [ENDPOINT_TYPES[kind]]
    return model
