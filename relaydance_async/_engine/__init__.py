"""One HTTP/1.1 client engine for asyncio, made for requests of which none may be lost and none be sent twice."""
