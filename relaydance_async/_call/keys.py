"""The API keys that one client serves over the same connections."""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakValueDictionary

from .._config import Secret, with_key
from .call import Shared

_REMEMBERED = 1000
"""Keys whose limits are still known when nobody holds a view of theirs; some 3 KB each."""


class Keys:
    """Finds what belongs to a key. Whoever passes the same key twice finds what was learned of it.

    Args:
        first: that of the client's own key.
    """

    def __init__(self, first: Shared) -> None:
        self._first = first
        self._alive: WeakValueDictionary[str, Shared] = WeakValueDictionary()
        self._recent: OrderedDict[str, Shared] = OrderedDict()

    def of(self, api_key: Secret) -> Shared:
        """What belongs to this key.

        Raises:
            ConfigurationError: it can't be one.
        """
        endpoint = with_key(self._first.endpoint, api_key)
        if endpoint.mark == self._first.endpoint.mark:
            return self._first
        shared = self._alive.get(endpoint.mark)
        if shared is None:
            shared = self._alive.setdefault(endpoint.mark, self._first.with_key(endpoint))
        self._remember(endpoint.mark, shared)
        return shared

    def _remember(self, mark: str, shared: Shared) -> None:
        self._recent[mark] = shared
        self._recent.move_to_end(mark)
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
