"""`nerf-mini view` as people run it: a process, its terminal, and pages that ask it all at once."""

import errno
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerf_mini.cli.program import main
from nerf_mini.config import with_settings
from nerf_mini.errors import UserError
from nerf_mini.io.images import to_uint8
from nerf_mini.outputs.viewer import listening
from nerf_mini.outputs.viewer.embedding import serve
from nerf_mini.outputs.viewer.guard import Guard
from nerf_mini.outputs.viewer.jobs import Jobs
from nerf_mini.outputs.viewer.listening import address, announce, listen
from nerf_mini.outputs.viewer.news import News, State
from nerf_mini.outputs.viewer.photos import Photos
from nerf_mini.outputs.viewer.routes import Service
from nerf_mini.outputs.viewer.serving import Show, metrics_history
from nerf_mini.runs.restoring import load_trainer
from nerf_mini.runs.session import resume, start

ROOT = Path(__file__).parents[3]
JSON = {"Content-Type": "application/json"}


class Page:
    """A client that asks as the page does."""

    def __init__(self, url, client="a"):
        self.connection = http.client.HTTPConnection(re.sub(r"http://|/$", "", url), timeout=60)
        self.client, self.seq = client, 0

    def get(self, path):
        self.connection.request("GET", path)
        return self.connection.getresponse().read()

    def info(self):
        return json.loads(self.get("/info"))

    def frame(self, **changes):
        self.seq += 1
        body = {"client": self.client, "seq": self.seq, "width": 16, "height": 16, "quality": 100, **changes}
        self.connection.request("POST", "/frame", json.dumps(body), JSON)
        response = self.connection.getresponse()
        data = response.read()
        assert response.status == 200, data
        return response.headers, np.array(Image.open(BytesIO(data)))


@pytest.fixture(scope="module")
def instant_run(tmp_path_factory, blobs, tiny):
    path = tmp_path_factory.mktemp("viewed") / "blobs"
    start(blobs, path, with_settings(tiny, max_steps=60)).train()
    return path


def launched(*arguments, **environment):
    own = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **environment}
    command = [sys.executable, "-P", "-m", "nerf_mini", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**own, "DISPLAY": ""})


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_run_is_viewed_by_many_pages_with_the_threading_layer_that_allows_one_thread(instant_run, tmp_path, tiny):
    """Numba's workqueue, the only layer of some platforms, aborts the process where two threads launch kernels."""
    run = Path(shutil.copytree(instant_run, tmp_path / "run"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = launched("view", run, "--port", port, "--no-open", NUMBA_THREADING_LAYER="workqueue")
        try:
            lines = [process.stdout.readline() for _ in range(3)]
            url = lines[1].removeprefix("viewer: ").strip()
            assert lines[0] == f"port {port} is taken; using {url.strip('/').rpartition(':')[2]}\n"
            assert re.fullmatch(r"http://localhost:\d+/", url) and "Ctrl-C" in lines[2]
            cameras = Page(url).info()["cameras"]
            trainer, train = load_trainer(run), [camera for camera in cameras if camera["split"] == "train"]

            def look(client):
                page = Page(url, f"page {client}")
                assert page.get(f"/thumb/{client}")[:2] == b"\xff\xd8"
                headers, picture = page.frame(camera=train[client]["index"])
                assert headers["X-Step"] == "60"
                truth = trainer.training_cameras
                return picture, client, truth

            with ThreadPoolExecutor(6) as pool:
                for picture, client, truth in pool.map(look, range(6)):
                    np.testing.assert_array_equal(picture, to_uint8(trainer.render(truth, client).color))
            resume(run, with_settings(tiny, max_steps=70)).train()
            page, end = Page(url), time.monotonic() + 20
            while page.info()["revision"] == 0 and time.monotonic() < end:
                time.sleep(0.1)
            assert page.frame(camera=0)[0]["X-Step"] == "70", "a newer checkpoint is shown"
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=20)
            assert (process.returncode, *rest) == (0, "", "")
        finally:
            process.kill()
            process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_training_is_watched_and_shown_until_ctrl_c(blobs, tmp_path, tiny_options):
    process = launched("train", blobs, "--output", tmp_path / "run", *tiny_options, "--view", "--port", 0, "--no-open")
    try:
        url = next(line for line in process.stdout if line.startswith("viewer: ")).split()[1]
        page = Page(url)
        assert page.info()["training"]
        assert page.frame(camera=0)[1].shape == (16, 16, 3)
        said = []
        for line in process.stdout:
            said.append(line)
            if "until Ctrl-C" in line:
                break
        assert said[0].startswith("finished at step 20") and any(line.startswith("next: ") for line in said[:-1])
        assert page.frame(camera=0)[0]["X-Step"] == "20"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0 and out == ""
    finally:
        process.kill()
        process.communicate()


def test_what_is_no_run_gets_a_sentence(own_run, tmp_path, capsys):
    for arguments, says in (
        ((tmp_path / "none",), "is not a run folder"),
        ((own_run, "--data", tmp_path / "none"), "no such file or folder"),
        ((own_run, "--port", "70000"), "from 0 to 65535"),
        ((own_run, "--host", "198.51.100.7"), "cannot be listened on"),
        ((own_run, "--host", "no.such.host.invalid"), "no address of this machine"),
    ):
        assert main(["view", *map(str, arguments), "--no-open"]) == 2
        error = capsys.readouterr().err
        assert says in error and "Traceback" not in error
    shutil.rmtree(own_run / "checkpoints")
    assert main(["view", str(own_run)]) == 2
    assert "no checkpoint yet" in capsys.readouterr().err


def test_a_wrong_port_begins_no_run(blobs, tmp_path, capsys):
    assert main(["train", str(blobs), "--output", str(tmp_path / "run"), "--view", "--port", "-1"]) == 2
    assert "from 0 to 65535" in capsys.readouterr().err and not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", [("--port", "7007"), ("--no-open",)])
def test_options_of_the_viewer_without_it_are_refused(blobs, tmp_path, capsys, option):
    assert main(["train", str(blobs), "--output", str(tmp_path / "run"), *option]) == 2
    error = capsys.readouterr().err
    assert option[0] in error and "add --view" in error and not (tmp_path / "run").exists()


def test_a_run_without_its_data_has_cameras_without_pictures(own_run):
    saved = json.loads((own_run / "config.json").read_text())
    (own_run / "config.json").write_text(json.dumps({**saved, "data": str(own_run / "gone"), "checksum": None}))
    show = Show(own_run)
    assert len(show.info()["cameras"]) == 13 and not any(camera["photo"] for camera in show.info()["cameras"])
    assert show.photos.thumbnail(0) is None
    assert show.news.since(-1)["history"][-1][0] == 20, "the curve of its training is shown"


def test_a_checkpoint_that_cannot_be_read_leaves_the_one_that_is_shown(own_run):
    show = Show(own_run)
    for file in (own_run / "checkpoints").iterdir():
        file.write_bytes(b"damaged")
    show._follow()
    shutil.rmtree(own_run / "checkpoints")
    show._follow()
    assert show.stage.revision == 0 and show.stage.trainer.step_count == 20


def test_metrics_are_read_as_far_as_they_go(tmp_path):
    file = tmp_path / "metrics.jsonl"
    assert metrics_history(file) == []
    file.write_text('{"step": 2, "psnr": 11.5, "loss": 0.5}\n{"step": 2, "validation_psnr": 3}\n[]\n{"step": 4, "ps')
    assert metrics_history(file) == []
    whole = {"step": 2, "seconds": 1, "loss": 0.5, "psnr": 11.5, "learning_rate": 0.1, "rays": 9}
    others = ({"step": 10**400}, {"step": float("inf")}, {"psnr": float("nan")}, {"loss": 10**400})
    deep = "[" * 100_000
    file.write_text("\n".join([json.dumps(whole), *(json.dumps({**whole, **other}) for other in others), deep]))
    assert metrics_history(file) == [(2, 11.5, 0.5)]


# -- where it listens --------------------------------------------------------------------------------------------------


def quiet() -> Service:
    return Service(Jobs(), News(State()), Photos({}, (0, 0, 0), None), dict)


def test_addresses_are_those_that_browsers_reach(monkeypatch):
    said = []
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    with listen(quiet(), "127.0.0.1", 0) as server:
        assert server.server_address[0] == "127.0.0.1", "and on nothing else"
        assert address(server) == f"http://localhost:{server.port}/"
        announce(server, False, said.append)
        assert said == [f"viewer: {address(server)}"]
        monkeypatch.setenv("SSH_CONNECTION", "1 2 3 4")
        announce(server, False, said.append)
        assert f"ssh -L {server.port}:localhost:{server.port} " in said[-1]
    with listen(quiet(), "0.0.0.0", 0) as server:
        assert re.fullmatch(rf"http://[\d.a-z]+:{server.port}/\?token=[\w-]{{22,}}", address(server))
        announce(server, False, said.append)
        assert "other machines" in said[-1]
    assert Guard.of("127.0.0.1").token is None


def test_a_browser_is_opened_only_where_somebody_sees_it(monkeypatch):
    opened = []
    monkeypatch.setattr(listening.webbrowser, "open", opened.append)
    for name in ("SSH_CONNECTION", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with listen(quiet(), "127.0.0.1", 0) as server:
        announce(server, True, lambda text: None)
        assert opened == []
        monkeypatch.setenv("DISPLAY", ":0")
        announce(server, False, lambda text: None)
        assert opened == []
        announce(server, True, lambda text: None)
        assert opened == [address(server)]


def test_ports_that_are_taken_are_passed_over(monkeypatch):
    said = []
    with listen(quiet(), "127.0.0.1", 0) as first:
        with listen(quiet(), "127.0.0.1", first.port, say=said.append) as second:
            assert second.port > first.port and said == [f"port {first.port} is taken; using {second.port}"]
        monkeypatch.setattr(listening, "MOST_PORTS", 1)
        with pytest.raises(UserError, match="is free"):
            listen(quiet(), "127.0.0.1", first.port)


def test_a_port_without_the_right_to_it_is_not_called_taken(monkeypatch):
    def refuse(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(listening, "ViewerServer", refuse)
    with pytest.raises(UserError, match="port 80 is not for ordinary users; choose one from 1024 on"):
        listen(quiet(), "127.0.0.1", 80)
    monkeypatch.setattr(listening, "_TAKEN", (errno.EADDRINUSE, errno.EACCES))  # as on Windows
    with pytest.raises(UserError, match="no port from 80 to 179 is free"):
        listen(quiet(), "127.0.0.1", 80)


@pytest.mark.parametrize("host", ["x" * 300, "a..b", "\udcff", "203.0.113.7"])
def test_a_host_that_is_not_this_machine_gets_a_sentence(host):
    with pytest.raises(UserError, match="--host") as error:
        listen(quiet(), host, 0)
    assert len(str(error.value)) < 200


# -- from Python -------------------------------------------------------------------------------------------------------


def test_a_trainer_is_served_beside_whatever_python_does(instant_run):
    trainer = load_trainer(instant_run)
    before = threading.active_count()
    with serve(trainer) as viewing:
        page = Page(viewing.url)
        assert page.frame(camera=0)[0]["X-Step"] == "60"
        assert viewing.url in viewing._repr_html_() and "<iframe" in viewing._repr_html_()
        page.connection.request("GET", "/")
        response = page.connection.getresponse()
        assert "frame-ancestors http://localhost:*" in response.headers["Content-Security-Policy"]
        response.read()
        trainer.train(max_steps=62)
        viewing.update(trainer)
        end = time.monotonic() + 20
        while page.info()["revision"] == 0 and time.monotonic() < end:
            time.sleep(0.1)
        assert page.frame(camera=0)[0]["X-Step"] == "62", "as it is by now"
        if sys.platform != "win32":
            assert os.getpgid(viewing._process.pid) != os.getpgid(0), "Ctrl-C here is none there"
        folder = viewing._folder
        assert threading.active_count() == before and folder.exists()
    assert not folder.exists() and viewing._process.returncode is not None
    with pytest.raises(OSError):
        Page(viewing.url).info()


def test_python_is_told_what_cannot_be_served(tmp_path, own_run):
    with pytest.raises(UserError, match="is not a run folder"):
        serve(tmp_path)
    shutil.rmtree(own_run / "checkpoints")
    with pytest.raises(UserError, match="no checkpoint yet"):
        serve(own_run)
