"""A headless Chromium that opens a page and answers questions about it, over its own debugging protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needed = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


class Tab:
    """One page of it. width, height: of the window, in pixels."""

    def __init__(self, address: str) -> None:
        host, _, path = address.removeprefix("ws://").partition("/")
        name, _, port = host.partition(":")
        self._socket = socket.create_connection((name, int(port)), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        hello = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._socket.sendall(f"{hello}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        while self._file.readline().strip():
            pass
        self._number = 0
        self.said: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and wait for what it gives; what the page says meanwhile is kept in `said`."""
        self._number += 1
        self._send(json.dumps({"id": self._number, "method": method, "params": parameters}).encode())
        while True:
            found = json.loads(self._receive())
            if found.get("id") == self._number:
                assert "error" not in found, found["error"]
                result: dict[str, Any] = found["result"]
                return result
            self._heard(found)

    def open(self, page: Path, width: int = 1280, dark: bool = False) -> None:
        """Open a file, in a window of this width, and wait until it stands."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=scheme)
        self.ask("Page.navigate", url=page.absolute().as_uri())
        self.tell("new Promise(done => document.readyState == 'complete' ? done(1) : addEventListener('load', done))")

    def tell(self, script: str) -> Any:
        """Give what a script gives, once it is there."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def shot(self, clip: dict[str, float]) -> bytes:
        """Give a part of the page as PNG. clip: x, y, width and height in pixels of the page, and the scale."""
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(found["data"])

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _heard(self, event: dict[str, Any]) -> None:
        if event["method"] == "Runtime.exceptionThrown":
            self.said.append(json.dumps(event["params"]["exceptionDetails"]))
        if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.said.append(event["params"]["entry"]["text"])

    def _send(self, content: bytes) -> None:
        size, mask = len(content), os.urandom(4)
        head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + struct.pack(">H", size)
        self._socket.sendall(head + mask + bytes(sign ^ mask[place % 4] for place, sign in enumerate(content)))

    def _receive(self) -> bytes:
        found, last = b"", False
        while not last:
            first, size = self._file.read(2)
            last = bool(first & 0x80)
            if size == 126:
                (size,) = struct.unpack(">H", self._file.read(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self._file.read(8))
            found += self._file.read(size)
        return found


@contextmanager
def tab() -> Iterator[Tab]:
    """Start a browser with one page, and end it."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
        started = [CHROMIUM, *flags, f"--user-data-dir={home}", "about:blank"]
        process = subprocess.Popen(started, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if b"DevTools listening on" in line).decode()
            port = line.partition("127.0.0.1:")[2].partition("/")[0]
            with urlopen(f"http://127.0.0.1:{port}/json") as answer:
                pages = json.load(answer)
            page = Tab(next(each["webSocketDebuggerUrl"] for each in pages if each["type"] == "page"))
            try:
                yield page
            finally:
                page.close()
        finally:
            process.terminate()
            process.wait(30)
            process.stderr.close()
