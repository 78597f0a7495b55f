"""Raw HTTP against a sandbox: nothing here knows the client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx

from relaydance_async.sandbox import Sandbox

CLIP_REQUEST = {"model": "doubao-seedance-2-0-720p", "prompt": "a cat turns", "seconds": "5"}
CHAT_REQUEST = {"model": "grok-4.3", "messages": [{"role": "user", "content": "one two three"}]}
IMAGE_REQUEST = {"model": "grok-imagine-image", "prompt": "a cat"}

Json = dict[str, Any]


class Caller:
    """A plain HTTP client with the sandbox's key."""

    def __init__(self, sandbox: Sandbox, http: httpx.Client) -> None:
        self.sandbox = sandbox
        self.http = http

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.sandbox.api_key}", **options.pop("headers", {})}
        return self.http.request(method, self.sandbox.root_url + path, headers=headers, **options)

    def models(self) -> httpx.Response:
        return self.call("GET", "/v1/models")

    def submit(self, **changes: Any) -> httpx.Response:
        return self.call("POST", "/v1/video/generations", json={**CLIP_REQUEST, **changes})

    def submitted(self, **changes: Any) -> str:
        answer = self.submit(**changes)
        assert answer.status_code == 200, answer.text
        task_id: str = answer.json()["task_id"]
        return task_id

    def fetch(self, task_id: str) -> Json:
        body: Json = self.call("GET", f"/v1/video/generations/{task_id}").json()
        return body

    def fetch_video(self, task_id: str) -> Json:
        body: Json = self.call("GET", f"/v1/videos/{task_id}").json()
        return body

    def chat(self, **changes: Any) -> httpx.Response:
        return self.call("POST", "/v1/chat/completions", json={**CHAT_REQUEST, **changes})

    def images(self, **changes: Any) -> httpx.Response:
        return self.call("POST", "/v1/images/generations", json={**IMAGE_REQUEST, **changes})

    def upload(self, content: bytes, name: str = "a.jpg", content_type: str = "image/jpeg") -> httpx.Response:
        return self.call("POST", "/v1/files", files={"file": (name, content, content_type)})

    def download(self, url: str, **headers: str) -> httpx.Response:
        """Without the key, as it should be."""
        return self.http.get(url, headers=headers)


class Starter:
    """Starts sandboxes that end with the test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self, **options: Any) -> Caller:
        return self.caller(self._stack.enter_context(Sandbox(**options)))

    def caller(self, sandbox: Sandbox) -> Caller:
        # No certificates are needed on loopback, and loading them is most of a client's start.
        client = httpx.Client(trust_env=False, verify=False, timeout=5)
        return Caller(sandbox, self._stack.enter_context(client))


def events_of(text: str) -> list[str]:
    """The `data:` payloads of a stream, in order; comments left out."""
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


def chunks_of(text: str) -> list[Json]:
    return [json.loads(event) for event in events_of(text) if event != "[DONE]"]


def deltas_of(text: str) -> Iterator[Json]:
    for chunk in chunks_of(text):
        for choice in chunk["choices"]:
            yield choice["delta"]
