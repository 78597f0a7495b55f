"""An embedded sandbox: a faithful local RelayDance on real sockets, for tests, demos and benchmarks.

It needs the extra: ``pip install "relaydance-async[sandbox]"``. It imports nothing from the client, so that a mistake
in the client's models cannot hide behind the same mistake in the fake.

    from relaydance_async.sandbox import Fault, Sandbox

    with Sandbox(faults=[Fault("POST /v1/video/generations", status=503, at=(1,))]) as sandbox:
        ...  # sandbox.base_url, sandbox.api_key, sandbox.clock.advance(60), sandbox.ledger
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._accounts import Account
    from ._chat_script import ChatReply
    from ._faults import Fault, FaultPlan
    from ._ledger import Ledger, LedgerEntry, WebhookDelivery
    from ._limits import RateLimit
    from ._proxy import FaultyProxy
    from ._proxy_faults import ConnectionFault
    from ._sandbox import Sandbox
    from ._tasks import TaskPlan, TaskScript

__all__ = [
    "Account",
    "ChatReply",
    "ConnectionFault",
    "Fault",
    "FaultPlan",
    "FaultyProxy",
    "Ledger",
    "LedgerEntry",
    "RateLimit",
    "Sandbox",
    "TaskPlan",
    "TaskScript",
    "WebhookDelivery",
]

_MODULES = {
    "Account": "_accounts",
    "ChatReply": "_chat_script",
    "ConnectionFault": "_proxy_faults",
    "Fault": "_faults",
    "FaultPlan": "_faults",
    "FaultyProxy": "_proxy",
    "Ledger": "_ledger",
    "LedgerEntry": "_ledger",
    "RateLimit": "_limits",
    "Sandbox": "_sandbox",
    "TaskPlan": "_tasks",
    "TaskScript": "_tasks",
    "WebhookDelivery": "_ledger",
}

_NEEDED = ("starlette", "uvicorn", "python_multipart", "httpx")


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Here and not at import: the pytest plugin lives in this package, and must load where the extra is missing.
    for needed in _NEEDED:
        if find_spec(needed) is None:
            message = f'the sandbox needs {needed}, which is not installed: pip install "relaydance-async[sandbox]"'
            raise ImportError(message, name=needed)
    value: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
