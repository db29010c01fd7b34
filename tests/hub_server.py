"""A hub on this machine: model repositories served by the endpoints that huggingface_hub asks, and a note of each call.

Large files go by their sha256 and small ones by git's hash, as the hub has it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Hub:
    """What is served, and what was asked for."""

    url: str
    repositories: Mapping[str, Path]
    """Folder of each id."""
    calls: list[str] = field(default_factory=list)
    """Method and path, in order."""
    agents: set[str] = field(default_factory=set)
    """What callers said of themselves."""
    spoiled: dict[str, bytes] = field(default_factory=dict)
    """File to the bytes that are sent in its place, under the name and hash of the right ones."""
    cut: set[str] = field(default_factory=set)
    """Files whose connection breaks in the middle."""

    @property
    def fetched(self) -> set[str]:
        """Names of the files that were sent."""
        return {call.rpartition("/")[2] for call in self.calls if call.startswith("GET") and "/resolve/" in call}


@contextmanager
def serve(repositories: Mapping[str, Path]) -> Iterator[Hub]:
    """A hub on a free port until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    hub = server.hub = Hub(f"http://127.0.0.1:{server.server_port}", repositories)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    hub: Hub


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""

    @property
    def _hub(self) -> Hub:
        return self.server.hub

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        self._hub.calls.append(f"{self.command} {path}")
        self._hub.agents.add(self.headers.get("User-Agent", ""))
        for name, folder in self._hub.repositories.items():
            if path in (f"/api/models/{name}", f"/api/models/{name}/revision/main"):
                files = [{"rfilename": one} for one in _files(folder)]
                return self._json({"id": name, "modelId": name, "sha": COMMIT, "private": False, "siblings": files})
            if path == f"/api/models/{name}/tree/{COMMIT}":
                return self._json([_entry(folder, one) for one in _files(folder)])
            for revision in ("main", COMMIT):
                start = f"/{name}/resolve/{revision}/"
                if path.startswith(start) and (folder / path.removeprefix(start)).is_file():
                    return self._file(folder, path.removeprefix(start))
            if path.startswith((f"/api/models/{name}/", f"/{name}/")):
                return self._missing("RevisionNotFound" if "/resolve/" not in path else "EntryNotFound")
        return self._missing("RepoNotFound")

    def _json(self, told: Any) -> None:
        self._send(json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _missing(self, code: str) -> None:
        self._send(b"", {"X-Error-Code": code, "X-Error-Message": "no such thing"}, 404)

    def _file(self, folder: Path, name: str) -> None:
        entry, data = _entry(folder, name), (folder / name).read_bytes()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{entry["oid"]}"'}
        if "lfs" in entry:
            headers |= {"X-Linked-ETag": f'"{entry["lfs"]["oid"]}"', "X-Linked-Size": str(len(data))}
        self._send(self._hub.spoiled.get(name, data), headers, cut=name in self._hub.cut)

    def _send(self, data: bytes, headers: Mapping[str, str], status: int = 200, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = cut


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())


def _entry(folder: Path, name: str) -> dict[str, Any]:
    """A file as the listing of a repository has it."""
    data = (folder / name).read_bytes()
    told = {"type": "file", "path": name, "size": len(data), "oid": git_hash(data)}
    if not name.endswith((".safetensors", ".bin")):
        return told
    return {**told, "lfs": {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 133}}


def git_hash(data: bytes) -> str:
    """What git calls a file of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
