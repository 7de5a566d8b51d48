"""A server without a scene: its stage paints flat colours, as slowly as a test wants."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import contextmanager

import numpy as np

from nerf_mini.geometry.poses import look_at
from nerf_mini.outputs.viewer.guard import Guard
from nerf_mini.outputs.viewer.jobs import Frame, Jobs
from nerf_mini.outputs.viewer.news import News, State
from nerf_mini.outputs.viewer.photos import Photos
from nerf_mini.outputs.viewer.routes import Service, ViewerServer
from nerf_mini.outputs.viewer.stage import encoded
from nerf_mini.outputs.viewer.work import work_off

POSE = look_at((1.0, 2.0, 3.0), (0.0, 0.0, 0.0)).reshape(-1).tolist()
JSON = {"Content-Type": "application/json"}


class FlatStage:
    """Paints each frame in the grey of its sequence number; waits for `go` if that is not set."""

    def __init__(self):
        self.go, self.began, self.given_up = threading.Event(), threading.Semaphore(0), 0
        self.go.set()

    def frame(self, request, cancelled):
        self.began.release()
        while not self.go.wait(0.01):
            if cancelled():
                self.given_up += 1
                return None
        if request.fov == 1.0:
            raise ZeroDivisionError("a fault of ours")
        data, kind = encoded(np.full((request.height, request.width, 3), request.seq, np.uint8), request.quality)
        return Frame(data, kind, 1.0, 2.0, 3, 4)


class Exhibition:
    """A running server, and how to talk to it."""

    def __init__(self, server, stage):
        self.server, self.stage, self.service = server, stage, server.service
        self.port = server.port

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, method, path, body=None, headers=None, connection=None):
        """Status, headers and body of one request."""
        own = connection or self.connection()
        own.request(method, path, body, headers or {})
        response = own.getresponse()
        answer = response.status, response.headers, response.read()
        if connection is None:
            own.close()
        return answer

    def frame(self, client="a", seq=1, connection=None, **changes):
        body = {"client": client, "seq": seq, "pose": POSE, "fov": 0.7, "width": 8, "height": 6, **changes}
        return self.ask("POST", "/frame", json.dumps(body), JSON, connection)


@contextmanager
def exhibition(cameras=None, scene=None, guard=None, **service):
    """A server on a free port of this machine, with a thread that works jobs off."""
    photos = Photos(cameras or {}, (1.0, 1.0, 1.0), scene)
    stage, jobs = FlatStage(), Jobs()
    offered = Service(jobs, News(State(step=7)), photos, lambda: {"name": "flat"}, **service)
    server = ViewerServer(("127.0.0.1", 0), offered, guard or Guard("127.0.0.1"))

    def work():
        while not jobs.closed:
            work_off(jobs, stage, 0.2)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    server.start()
    try:
        yield Exhibition(server, stage)
    finally:
        stage.go.set()
        server.stop()
        worker.join(10)
        assert not worker.is_alive()
