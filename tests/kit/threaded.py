"""A server in threads of its own, for what happens while the event loop of the test does something else."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Serve = Callable[[socket.socket], None]
"""What is done with a connection, which is closed afterwards."""


@dataclass
class ThreadedServer:
    """A running server, and what it has seen."""

    port: int
    scheme: str
    connections: int = 0
    open: list[socket.socket] = field(default_factory=list[socket.socket])
    requests: list[bytes] = field(default_factory=list[bytes])

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def read(self, connection: socket.socket) -> bytes:
        """The next request, which is noted; nothing at the end."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        _, found, length = head.lower().partition(b"content-length: ")
        left = int(length.split(b"\r\n")[0]) - len(body) if found else 0
        while left > 0 and (more := connection.recv(65536)):
            left -= len(more)
        self.requests.append(head)
        return head


@contextmanager
def serve_in_threads(
    serve: Callable[[ThreadedServer, socket.socket], None], tls: ssl.SSLContext | None = None
) -> Generator[ThreadedServer]:
    """A server on a port of its own that runs `serve` for each connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        server = ThreadedServer(listener.getsockname()[1], "https" if tls else "http")
        threads: list[threading.Thread] = []

        def handle(connection: socket.socket) -> None:
            # Its end belongs to the test, which may end before the client has said goodbye.
            with suppress(OSError), connection:
                if tls is None:
                    serve(server, connection)
                else:
                    with tls.wrap_socket(connection, server_side=True) as secured:
                        server.open.append(secured)
                        serve(server, secured)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.settimeout(10)
                    server.connections += 1
                    server.open.append(connection)
                    threads.append(threading.Thread(target=handle, args=(connection,), daemon=True))
                    threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(5)
            for connection in server.open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(5)
