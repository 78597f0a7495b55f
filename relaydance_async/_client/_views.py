"""What a view of a client has other than the client."""

from __future__ import annotations

import sys
from itertools import count
from typing import Any

from .._config import Options, as_priority, checked_headers, checked_query, with_max_retries
from .._hooks import as_observer
from .._sansio.retry import RetryPolicy
from .._sansio.timeout import as_timeout
from ..models._options import NOT_GIVEN
from ._settings import build_headers

_VIEWS = count(1)
_NO_RETRIES = RetryPolicy(max_attempts=1)


def changes_of(
    now: Options,
    *,
    timeout: Any,
    deadline: Any,
    retry: Any,
    max_retries: Any,
    default_headers: Any,
    default_query: Any,
    on_retry: Any,
    max_response_bytes: Any,
    priority: Any,
) -> dict[str, Any]:
    """The options that differ, and the number of the view. What is `NOT_GIVEN` stays, and None turns it off.

    Raises:
        ConfigurationError: one can't be sent, or is no option.
    """
    return {
        "timeout": timeout if timeout is NOT_GIVEN else as_timeout(timeout),
        "deadline": deadline,
        "retry": _retry(now, retry, max_retries),
        "headers": _headers(now, default_headers),
        "query": _query(now, default_query),
        "on_retry": on_retry if on_retry is NOT_GIVEN else as_observer(on_retry),
        "max_response_bytes": sys.maxsize if max_response_bytes is None else max_response_bytes,
        "priority": priority if priority is NOT_GIVEN else as_priority(0 if priority is None else priority),
        "view": next(_VIEWS),
    }


def _retry(now: Options, retry: Any, max_retries: Any) -> Any:
    policy = _NO_RETRIES if retry is None else retry
    if max_retries is NOT_GIVEN:
        return policy
    return with_max_retries(now.retry if policy is NOT_GIVEN else policy, max_retries or 0)


def _headers(now: Options, headers: Any) -> Any:
    if headers is None:
        return build_headers(None)
    return headers if headers is NOT_GIVEN else {**now.headers, **checked_headers(headers)}


def _query(now: Options, query: Any) -> Any:
    if query is None:
        return {}
    return query if query is NOT_GIVEN else {**now.query, **checked_query(query)}
