"""An HTTP/1.1 engine for asyncio, of small parts: each file is one idea, and says at its head how it works."""
