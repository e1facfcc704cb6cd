"""A Hugging Face Hub on this machine: what huggingface_hub asks of one, for repositories that are folders."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer(ThreadingHTTPServer):
    """Repositories by id; `gated` ones refuse; `asked` lists (method, path, Range) of every request.

    `sent` counts the bytes of files. A file in `breaks` is cut after half of its bytes that many times; with `down`, nothing is served.
    """

    def __init__(self, repositories: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = repositories
        self.gated: set[str] = set()
        self.breaks: dict[str, int] = {}
        self.sent = 0
        self.asked: list[tuple[str, str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self, method: str = "GET") -> list[tuple[str, str | None]]:
        """(file, Range) of every download, in order."""
        found = [
            (re.search(r"/resolve/[^/]+/(.*)", path), span) for m, path, span in self.asked if m == method
        ]
        return [(match[1], span) for match, span in found if match]


@contextmanager
def serve(repositories: dict[str, Path]) -> Iterator[HubServer]:
    server = HubServer(repositories)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """/api/models/ID[/revision/REV], /api/models/ID/tree/REV and /ID/resolve/REV/FILE."""

    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((self.command, path, self.headers.get("Range")))
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = api or file
        name, revision = (match[1], (api[3] if api else file[2])) if match else ("", "")  # type: ignore[index]
        folder = self.server.repositories.get(name)
        if match is None or folder is None:
            return self._refuse(401, "RepoNotFound", "Repository not found")
        if revision not in (None, "main", COMMIT):
            return self._refuse(404, "RevisionNotFound", "Revision not found")
        if file is None:
            return self._json(self._tree(folder) if api and api[2] == "tree" else self._info(name, folder))
        if name in self.server.gated:
            return self._refuse(403, "GatedRepo", f"Access to model {name} is restricted")
        if not (folder / file[3]).is_file():
            return self._refuse(404, "EntryNotFound", "Entry not found")
        return self._file(folder / file[3], file[3], body)

    def _info(self, name: str, folder: Path) -> dict[str, Any]:
        siblings = [{"rfilename": row["path"], "size": row["size"]} for row in self._tree(folder)]
        return {"id": name, "sha": COMMIT, "siblings": siblings, "private": False, "gated": False, "tags": []}

    def _tree(self, folder: Path) -> list[dict[str, Any]]:
        return [
            {
                "type": "file",
                "path": str(path.relative_to(folder)),
                "size": path.stat().st_size,
                "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]

    def _file(self, path: Path, name: str, body: bool) -> None:
        data = path.read_bytes()
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        begin = int(span[1]) if span else 0
        whole, data = len(data), data[: int(span[2]) + 1] if span and span[2] else data
        self.send_response(206 if span else 200)
        self.send_header("ETag", f'"{hashlib.sha1(path.read_bytes()).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - begin))
        if span:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{whole}")
        self.end_headers()
        if not body:
            return
        if self.server.breaks.get(name, 0) > 0:
            self.server.breaks[name] -= 1
            self.wfile.write(data[begin : (begin + len(data)) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.server.sent += len(data) - begin
        self.wfile.write(data[begin:])

    def _json(self, value: Any) -> None:
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()
