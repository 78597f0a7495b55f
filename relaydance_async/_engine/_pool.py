"""The connections of one event loop.

Theory of operation. Whoever asks gets the connection that was used last, or a new one, for which there is a line
(`_line.py`): nobody overtakes. A connection has one request at a time; one whose request did not end in a whole answer
is closed.

               dial                      answer whole
    (nothing) ------> under way <-----------------------+
                          |      take: the warmest one   |
                          +---------------------------> idle --> closed: it died, spoke unasked, was idle for too long,
                                                                 or is the one that was idle for longest of too many

How long one stays idle. The server's `Keep-Alive: timeout=N` is kept to, less a second, because the server's clock
began earlier. Without one it is 5 s at most (httpx's default, and below that of most servers), and less where a server
has closed idle ones earlier: a request that meets a closing connection is in doubt for nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import Awaitable

from .._timers import Timers
from ._connection import Connection
from ._dial import Origin
from ._line import Line

KEEPALIVE_SECONDS = 5.0
LONGEST_KEEPALIVE = 60.0
"""However long a server would keep it: proxies and NATs in between forget sooner or later."""

_INBOX_BYTES = 256 * 1024
"""That may arrive at once, as asyncio has it."""

_MARGIN = 1.0
_SHORTEST = 0.05
_LEARNT_HOSTS = 256
_BELIEVED = 600.0
_TIMEOUT = re.compile(rb"(?:^|,)[ \t]*timeout[ \t]*=[ \t]*(\d{1,9})", re.IGNORECASE)


class IdleLimits:
    """How long connections may stay idle, by what their servers have said and done."""

    def __init__(self) -> None:
        self._learnt: dict[Origin, tuple[float, float]] = {}
        """Seconds, and until when they hold: a server that was restarted closed all its connections early."""

    def seconds(self, origin: Origin, keep_alive: bytes | None, now: float) -> float:
        """For one that becomes idle now, after an answer with that `Keep-Alive` field."""
        limit = KEEPALIVE_SECONDS
        if keep_alive is not None and (told := _TIMEOUT.search(keep_alive)) is not None:
            seconds = float(told[1])
            limit = min(seconds - min(_MARGIN, seconds / 2), LONGEST_KEEPALIVE)
        if self._learnt and (learnt := self._learnt.get(origin)) is not None:
            if now < learnt[1]:
                return min(learnt[0], limit)
            del self._learnt[origin]
        return limit

    def was_closed(self, origin: Origin, after: float, now: float) -> None:
        """The server closed one that had been idle for so long."""
        known = self._learnt.pop(origin, None)
        limit = after / 2 if known is None else min(after / 2, known[0])
        if len(self._learnt) >= _LEARNT_HOSTS:
            del self._learnt[next(iter(self._learnt))]
        self._learnt[origin] = max(_SHORTEST, limit), now + _BELIEVED


class Pool:
    """See above.

    Args:
        context: for the timer.
        max_idle: how many idle connections are kept, to all hosts together.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context, max_idle: int) -> None:
        self.is_closed: bool = False
        self._loop = loop
        self._context = context
        self._max_idle = max_idle
        self._open: set[Connection] = set()
        self._timers = Timers(loop)
        self._lines: dict[Origin, Line[Connection]] = {}
        self._idle: dict[Origin, dict[Connection, None]] = {}
        self._idle_count = 0
        self._limits = IdleLimits()
        self._reaper: asyncio.TimerHandle | None = None
        self._inbox: memoryview | None = None

    def count(self) -> tuple[int, int]:
        """How many are open, idle ones included, and how many of those are idle."""
        return len(self._open), self._idle_count

    def connections(self) -> list[Connection]:
        """Those that are open."""
        return list(self._open)

    def add(self, connection: Connection) -> None:
        """A new one, which has a request."""
        self._open.add(connection)

    def take(self, origin: Origin) -> Connection | None:
        """The idle one that was used last, or None. Nobody but the kernel may know yet that it is at its end."""
        idle = self._idle.get(origin)
        if not idle:
            return None
        connection, _ = idle.popitem()
        self._idle_count -= 1
        if not idle:
            del self._idle[origin]  # of thousands of hosts, most are never asked again
        return connection

    def wait(self, origin: Origin, until: float) -> Awaitable[Connection | None]:
        """One that becomes idle; None: it is the caller's turn to make one, until `dialled`.

        Raises:
            TooLate: none was idle until then, by the loop's clock.
        """
        line = self._lines.get(origin)
        if line is None:
            line = self._lines[origin] = Line(self._timers)
        return line.wait(until, self._offer_again)

    def dialled(self, origin: Origin) -> None:
        """A connection to it was made, or could not be."""
        line = self._lines[origin]
        line.ended()
        if not line.dials:
            del self._lines[origin]

    async def is_fit(self, connection: Connection) -> bool:
        """Whether it can be used; if not, it is closed.

        The kernel is asked whether it has come to its end, or has something to say that the loop has not read yet: a
        request in vain may be one in doubt, and what was said unasked would be taken for the answer.
        """
        try:
            if connection.is_secure:
                await connection.catch_up()
        except BaseException:
            connection.close()
            raise
        if connection.is_open and not connection.is_readable:
            return True
        self._note_close(connection)
        connection.close()
        return False

    def inbox(self) -> memoryview:
        """See `Owner`. It goes with the last connection: thousands of idle clients have none."""
        if self._inbox is None:
            self._inbox = memoryview(bytearray(_INBOX_BYTES))
        return self._inbox

    def put_back(self, connection: Connection, keep_alive: bytes | None) -> None:
        """See `Owner`."""
        if self.is_closed or not connection.is_open:
            connection.close()
            return
        origin = connection.origin
        connection.idle_since = now = self._loop.time()
        seconds = self._limits.seconds(origin, keep_alive, now)
        if seconds <= 0:
            connection.close()
            return
        connection.expires = now + seconds
        self._offer(connection)

    def _offer_again(self, connection: Connection) -> None:
        if connection.is_open:
            self._offer(connection)

    def _offer(self, connection: Connection) -> None:
        origin = connection.origin
        if self._lines and (line := self._lines.get(origin)) is not None and line.hand(connection):
            return
        idle = self._idle.get(origin)
        if idle is None:
            idle = self._idle[origin] = {}
        idle[connection] = None
        self._idle_count += 1
        if self._idle_count > self._max_idle:
            # Of an old one nobody may ever ask for again: kept, such ones would leave no place for those in use.
            longest = min((next(iter(known)) for known in self._idle.values()), key=_idle_since)
            self._take_out(longest)
            longest.close()
        if self._reaper is None:
            self._reap_at(connection.expires)

    def gone(self, connection: Connection) -> None:
        """See `Owner`."""
        self._open.discard(connection)
        if not self._open:
            self._inbox = None
        if self._take_out(connection):
            self._note_close(connection)

    def _take_out(self, connection: Connection) -> bool:
        idle = self._idle.get(connection.origin)
        if idle is None or connection not in idle:
            return False
        del idle[connection]
        self._idle_count -= 1
        if not idle:
            del self._idle[connection.origin]
        return True

    def _note_close(self, connection: Connection) -> None:
        now = self._loop.time()
        self._limits.was_closed(connection.origin, now - connection.idle_since, now)

    def _reap_at(self, when: float) -> None:
        self._reaper = self._loop.call_at(when, self._reap, context=self._context)

    def _reap(self) -> None:
        self._reaper = None
        now = self._loop.time()
        for connection in [connection for idle in self._idle.values() for connection in idle]:
            if connection.expires <= now:
                self._take_out(connection)
                connection.close()
        if self._idle:
            self._reap_at(min(connection.expires for idle in self._idle.values() for connection in idle))

    def dismiss(self) -> None:
        """Let nobody wait any more: there will be no idle ones."""
        for line in self._lines.values():
            line.dismiss()

    def close(self) -> list[Connection]:
        """Take none back any more. Those that were open are given out, to be closed."""
        self.is_closed = True
        self._idle.clear()
        self._idle_count = 0
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        given, self._open = list(self._open), set()
        self._inbox = None
        return given


def _idle_since(connection: Connection) -> float:
    return connection.idle_since
