"""The API keys that one client serves over the same connections."""

from __future__ import annotations

from collections import OrderedDict

from .._config import Secret, with_key
from .._limits import Book
from .call import Shared

_REMEMBERED = 1000
"""Keys whose limits are still known when nobody holds a view of theirs; some 1.6 KB each, more with more models."""


class Keys:
    """Finds what belongs to a key. Whoever passes the same key twice finds what was learned of it. It is remembered by
    a hash of the key.

    Args:
        first: that of the client's own key.
    """

    def __init__(self, first: Shared) -> None:
        self._first = first
        self._recent: OrderedDict[Book, None] = OrderedDict()

    def of(self, api_key: Secret) -> Shared:
        """What belongs to this key.

        Raises:
            ConfigurationError: it can't be one.
        """
        endpoint = with_key(self._first.endpoint, api_key)
        if endpoint.mark == self._first.endpoint.mark:
            return self._first
        shared, recent = self._first.with_key(endpoint), self._recent
        recent[shared.book] = None
        recent.move_to_end(shared.book)
        if len(recent) > _REMEMBERED:
            recent.popitem(last=False)
        return shared
