"""As much of W&B's server as sending a run needs: metrics, files, artifacts, and the question whether one is there."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(BaseHTTPRequestHandler):
    """What it was told lies in the attributes of a subclass that `serve` makes.

    Attributes:
        upserts: What runs were said to be.
        rows: The history, by its line.
        artifacts: Collection -> the files of its committed artifact.
        pending: The same, not committed.
        refuses: Files of artifacts are turned away.
    """

    upserts: list[dict]
    rows: dict[int, dict]
    artifacts: dict[str, dict[str, bytes]]
    pending: dict[str, dict[str, bytes]]
    refuses: bool = False

    def do_POST(self):
        if not self.path.endswith(("/graphql", "/file_stream")):
            return self._send({})  # telemetry
        body = json.loads(self._body())
        if self.path.endswith("/file_stream"):
            history = body.get("files", {}).get("wandb-history.jsonl", {})
            for place, row in enumerate(history.get("content", []), start=history.get("offset", 0)):
                self.rows[place] = json.loads(row)
            return self._send({})
        name = body.get("operationName") or re.search(r"(?:mutation|query)\s+(\w+)", body["query"])[1]
        answer = getattr(self, name, lambda _: {})
        return self._send({"data": answer(body.get("variables", {}))})

    def do_PUT(self):
        content = self._body()
        _, kind, *rest = self.path.split("/")
        if kind == "artifact" and self.refuses:
            return self._send({}, 403)
        if kind == "artifact":
            self.pending[rest[0]]["/".join(rest[1:])] = content
        return self._send({})

    def do_GET(self):
        self._send({})

    def GetDefaultEntity(self, _):
        return {"viewer": {"id": "u", "entity": "team"}}

    def Viewer(self, _):
        return {"viewer": {"id": "u", "entity": "team", "flags": "{}", "teams": {"edges": []}}}

    def UpsertBucket(self, given):
        self.upserts.append(given)
        return {"upsertBucket": {"bucket": self._bucket(given["name"]), "inserted": True}}

    def RunResumeStatus(self, given):
        told = {"historyLineCount": len(self.rows), "eventsLineCount": 0, "logLineCount": 0, "historyTail": "[]"}
        rest = {"summaryMetrics": "{}", "eventsTail": "[]", "wandbConfig": '{"t": 1}', "tags": []}
        return {"model": {"id": "p", "name": "spinelab", "bucket": self._bucket(given["name"]) | told | rest}}

    def CreateRunFiles(self, given):
        files = [{"name": file, "uploadUrl": f"{self._base()}/run/{file}"} for file in given["files"]]
        return {"createRunFiles": {"runID": "x", "uploadHeaders": [], "files": files}}

    def ArtifactType(self, _):
        return {"project": {"artifact": None}}

    def CreateArtifact(self, given):
        name = given["input"]["artifactCollectionName"]
        self.pending[name] = {}
        sequence = {"id": name, "latestArtifact": None}
        return {"createArtifact": {"artifact": {"id": name, "state": "PENDING", "artifactSequence": sequence}}}

    def CreateArtifactManifest(self, _):
        file = {"id": "f", "uploadUrl": f"{self._base()}/manifest", "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}

    def CreateArtifactFiles(self, given):
        edges = []
        for file in given["input"]["artifactFiles"]:
            url = f"{self._base()}/artifact/{file['artifactID']}/{file['name']}"
            node = {"storagePath": file["name"], "uploadUrl": url, "uploadHeaders": [], "uploadMultipartUrls": None}
            edges.append({"node": node | {"artifact": {"id": file["artifactID"]}}})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def CommitArtifact(self, given):
        self.artifacts[given["artifactID"]] = self.pending.pop(given["artifactID"])
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": "d"}}}

    def ArtifactMembershipByName(self, given):
        name = given["name"].partition(":")[0]
        project = {"id": "p", "internalId": "p", "name": "spinelab", "entity": {"name": "team"}}
        collection = {"__typename": "ArtifactSequence", "name": name, "project": project}
        artifact = {
            "__typename": "Artifact", "id": name, "artifactSequence": collection, "versionIndex": 0, "aliases": [],
            "artifactType": {"name": "run_table"}, "description": None, "metadata": "{}", "ttlDurationSeconds": -2,
            "ttlIsInherited": False, "tags": [], "historyStep": None, "state": "COMMITTED", "size": 1, "digest": "d",
            "digestAlgorithm": "MANIFEST_MD5", "commitHash": "d", "fileCount": 1, "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": None,
        }  # fmt: skip
        found = {
            "__typename": "ArtifactCollectionMembership", "id": name, "versionIndex": 0, "aliases": [],
            "createdAt": "2026-01-01T00:00:00Z", "artifactCollection": collection, "artifact": artifact,
        }  # fmt: skip
        return {"project": {"artifactCollectionMembership": found if name in self.artifacts else None}}

    def _bucket(self, name):
        project = {"id": "p", "name": "spinelab", "entity": {"id": "e", "name": "team"}}
        bucket = {"id": "x", "name": name, "displayName": "x", "config": "{}", "project": project}
        return bucket | {"historyLineCount": len(self.rows)}

    def _base(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def _body(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _send(self, answer, status=200):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serve() -> Iterator[tuple[type[Server], str]]:
    """A server of its own, and its address."""
    handler = type("Handler", (Server,), {"upserts": [], "rows": {}, "artifacts": {}, "pending": {}})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield handler, f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
