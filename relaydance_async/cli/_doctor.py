"""`relaydance doctor`: what works, in the order in which a request needs it; and what to do about the rest."""

from __future__ import annotations

import asyncio

from ._checks import check_settings, check_way
from ._exits import DONE, FAILED
from ._play import play
from ._service import check_service
from ._session import Here


def doctor(*, session: Here) -> int:
    """Find out what doesn't work, and what to do about it. It costs nothing. Exit status 1 when something is wrong."""
    lines = check_settings(session)
    if not any(line.is_wrong for line in lines if line.check != "key"):
        lines += asyncio.run(check_way(session.base_url))
    if not any(line.is_wrong for line in lines):
        lines += play(session, lambda client: check_service(session, client), deadline=30.0)
    session.output.many((line.record() for line in lines), none="")
    return FAILED if any(line.is_wrong for line in lines) else DONE
