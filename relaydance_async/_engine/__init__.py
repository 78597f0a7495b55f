"""One HTTP/1.1 client engine for asyncio, made for requests of which none may be lost and none be sent twice.

Each file is one idea, and says at its head how it works. In the order in which a request meets them:

    engine      a request in, an answer out
    outgoing    what a request has to have, and the bytes of its head
    pool        the idle connections
    line        who waits for one, or for a new one
    dial        new ones: proxy, resolver, happy_eyeballs, tls and tunnel, with a wire in the making
    connection  the states of one connection, and what is known of the bytes that left
    link        its side to the event loop: bytes, pace and time
    upload      large bodies
    rules       what is accepted as an answer: one table for both parsers
    parser      their interface; llhttp and h11 implement it, chunks is what h11 forgives too much in
    exchange    the answer as its reader sees it
    coding      gzip and deflate undone

HTTP/2 stays out. A server allows 100 to 250 streams of one connection (HAProxy 100, nginx 128, Go 250), so thousands of
calls need dozens of connections all the same. One lost packet holds up all streams of its connection, and by default
they share a window of 64 KiB (RFC 9113 section 6.9.2) until somebody widens it. A connection that breaks leaves all its
calls in doubt, and not one. And what it saves, connections, costs least here: calls are few and long, and 5,000 of them
hold 7.5 KB each, connections included.
"""

from ._descriptors import leave_to_parent
from ._dial import Dialer
from ._engine import Engine, TransportStats
from ._exchange import Exchange
from ._outgoing import Outgoing
from ._parser import NewParser
from ._tls import check_certificates

__all__ = [
    "Dialer",
    "Engine",
    "Exchange",
    "NewParser",
    "Outgoing",
    "TransportStats",
    "check_certificates",
    "leave_to_parent",
]
