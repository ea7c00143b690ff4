"""A recipe submitted to a real cluster of two nodes that asks for a token."""

import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from deploy import cluster
from deploy.cluster import Cluster, exit_code, submit
from deploy.parcel import pack
from deploy.settings import PACKAGES
from pipelines import Pipeline, run
from stages.errors import RunnerError, SpecError
from tests.documents import ENGLISH, PORTUGUESE
from tests.pipelines.conftest import shelf

STEPS = """
import time
from dataclasses import dataclass

from stages.base import Stage


@dataclass(frozen=True, kw_only=True)
class Fail(Stage):
    def __call__(self, batch):
        if batch.num_rows:
            raise ValueError("this one raises")
        return batch


@dataclass(frozen=True, kw_only=True)
class Sleep(Stage):
    def __call__(self, batch):
        time.sleep(3600)
        return batch
"""


def free_ports(count):
    """Ports that nobody listens on, all different."""
    with_ports = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in with_ports]
    for each in with_ports:
        each.close()
    return ports


def own_address():
    """This machine's address as other machines see it, which is what Ray binds to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return probe.getsockname()[0]
    return "127.0.0.1"


def start_node(folder, token, *options):
    """A Ray node that lives as long as the process that is returned.

    Its PATH holds another Python than the one it runs on. Ray gives up on a node that takes longer
    than 15 seconds to start its agent, so on a busy machine it is started again.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    surroundings = inherited | {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(cluster.__file__).parents[1]),  # what an image has installed
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
    }
    for _ in range(3):
        agent, grpc, metrics = free_ports(3)
        command = [Path(sys.executable).with_name("ray"), "start", "--block", "--num-cpus=1"]
        command += ["--object-store-memory=100000000", "--min-worker-port=0"]
        command += ["--max-worker-port=0", "--include-log-monitor=False", "--disable-usage-stats"]
        command += [f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}"]
        command += [f"--dashboard-agent-grpc-port={grpc}", *options]
        log = folder / f"node-{agent}.log"
        with open(log, "wb") as out:
            node = subprocess.Popen(command, env=surroundings, stdout=out, stderr=out)
        late = time.monotonic() + 90  # a node that finds no head would try for ever
        while node.poll() is None and time.monotonic() < late:
            if "Ray runtime started" in log.read_text():
                return node
            time.sleep(0.3)
        if node.poll() is None:
            end(node)
    raise AssertionError(log.read_text())


def end(node):
    """End a node and whatever it started, and nothing else."""
    started = psutil.Process(node.pid).children(recursive=True)
    node.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        node.wait(10)
    for process in (*started, node):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(started, 5)
    node.wait(5)


@dataclass
class Two:
    """A cluster of two nodes."""

    url: str
    token: str = field(repr=False)

    def get(self, path):
        request = Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def jobs(self):
        """The status of every job by its id."""
        return {job["submission_id"]: job["status"] for job in self.get("/api/jobs/")}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    port, dashboard, client = free_ports(3)
    host = own_address()
    # Short, because sockets lie below it; one each, because a node unpacks a job's folder anew.
    homes = [tempfile.mkdtemp(prefix="ray") for _ in range(2)]
    options = [f"--port={port}", f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1"]
    options += [f"--ray-client-server-port={client}", f"--temp-dir={homes[0]}"]
    options += [f"--node-ip-address={host}"]
    other = [f"--address={host}:{port}", f"--temp-dir={homes[1]}"]
    nodes = []
    try:
        nodes.append(start_node(folder, token, "--head", *options))
        nodes.append(start_node(folder, token, *other))
        yield Two(f"http://127.0.0.1:{dashboard}", token.read_text())
    finally:
        for node in reversed(nodes):
            end(node)
        for home in homes:
            shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def token(two, monkeypatch):
    """The right token, where Ray looks for it."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", two.token)
    return two.token


@pytest.fixture
def said():
    return []


@pytest.fixture
def folder(tmp_path):
    """JSON Lines, Parquet and text files, with copies among them."""
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for at in range(2):
        texts = [f"{ENGLISH} This is page {page} of {at}." for page in range(20)] + [PORTUGUESE]
        lines = [json.dumps({"text": text, "url": f"https://x.test/{at}"}) for text in texts]
        (inputs / f"{at}.jsonl").write_text("\n".join(lines))
        pq.write_table(pa.table({"text": texts[at:]}), inputs / f"{at}.parquet")
        (inputs / f"{at}.txt").write_text(f"{PORTUGUESE} {at}")
    return tmp_path


def recipe(folder, *steps, name="small", sources=("Jsonl", "Parquet", "Text"), **limits):
    """A recipe over every file of the folder."""
    ends = {"Jsonl": "jsonl", "Parquet": "parquet", "Text": "txt"}
    inputs = [
        {f"stages.read.{kind}": {"paths": f"{folder}/inputs/*.{ends[kind]}"}} for kind in sources
    ]
    path = folder / f"{name}.yaml"
    flows = {"pages": {"from": inputs, "stages": list(steps)}}
    path.write_text(yaml.safe_dump({"name": name, **limits, "flows": flows}))
    return path


class Flaky:
    """Stands before a cluster: refuses at first, loses the answer to a submission, falls silent in the log."""

    def __init__(self, url):
        self.upstream = int(url.rpartition(":")[2])
        self.happened = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with suppress(OSError):
            while True:
                client, _ = self.server.accept()
                threading.Thread(target=self.handle, args=(client,), daemon=True).start()

    def once(self, what):
        if what in self.happened:
            return False
        self.happened.append(what)
        return True

    def handle(self, client):
        with closing(client), suppress(OSError):
            asked = client.recv(65536)
            if self.once("503"):
                client.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nbusy\n")
                return
            with socket.create_connection(("127.0.0.1", self.upstream)) as upstream:
                upstream.sendall(asked)
                lost = asked.startswith(b"POST /api/jobs/ ") and self.once("lost answer")
                silent = b"/logs/tail" in asked and self.once("silent log")
                if not lost:
                    threading.Thread(target=pump, args=(client, upstream), daemon=True).start()
                    pump(upstream, client, messages=4 if silent else None)
                    return
                pump(client, upstream, rest=asked)
                upstream.recv(65536)


def pump(source, target, messages=None, rest=None):
    """Carry bytes over, at most so many pieces of them; of a request, to the end of its body."""
    with suppress(OSError):
        if rest is not None:
            head, _, body = rest.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            while len(body) < length:
                piece = source.recv(65536)
                body += piece
                target.sendall(piece)
            return
        while messages is None or messages > 0:
            piece = source.recv(65536)
            if not piece:
                return
            target.sendall(piece)
            messages = messages - 1 if messages is not None else None


def test_a_run_on_two_nodes_makes_the_store_of_a_run_in_process(
    two, token, folder, said, monkeypatch
):
    monkeypatch.setattr(cluster, "HEARTBEAT", 5.0)
    path = recipe(folder, "stages.clean.NormalizeText", "stages.dedup.ExactDedup")
    flaky = Flaky(two.url)

    code = submit(path, flaky.url, str(folder / "store"), name="whole", echo=said.append)

    assert code == 0
    assert flaky.happened == ["503", "lost answer", "silent log"]
    run(Pipeline.load(path), str(folder / "here"))
    assert shelf(folder / "store") == shelf(folder / "here") != {}
    written = two.get("/api/jobs/whole/logs")["logs"].splitlines()
    assert said[1:] == [cluster.CONTROLS.sub("", line) for line in written]
    assert said.count("run     whole") == 1
    job = two.get("/api/jobs/whole")["job_id"]
    tasks = two.get("/api/v0/tasks?detail=1&limit=1000")["data"]["result"]["result"]
    passes = [task for task in tasks if task["name"] == "pass" and task["job_id"] == job]
    assert len({task["node_id"] for task in passes}) == 2

    again = submit(path, two.url, str(folder / "store"), name="whole", echo=said.append)

    assert again == 0
    assert said.count("run     whole") == 2  # its log is told again
    assert [job for job in two.jobs() if job.startswith("whole")] == ["whole"]

    path.write_text(path.read_text().replace("ExactDedup", "MinHashDedup"))
    with pytest.raises(RunnerError, match="knows whole as another run"):
        submit(path, two.url, str(folder / "store"), name="whole", echo=said.append)


def test_code_from_the_image_and_too_much_quarantine_are_exit_code_3(two, token, folder, said):
    with open(folder / "inputs" / "0.jsonl", "a") as file:
        file.write("\n{broken\n")
    path = recipe(folder, "stages.clean.NormalizeText", sources=("Jsonl",), max_quarantine=0.001)

    code = submit(path, two.url, str(folder / "store"), ship=False, echo=said.append)

    assert code == 3, "\n".join(said)
    assert any("1 of 43 documents were quarantined" in line for line in said)


def test_a_run_that_was_stopped_starts_anew_under_its_name(
    two, token, folder, said, tmp_path, monkeypatch
):
    (tmp_path / "own_steps.py").write_text(STEPS)
    monkeypatch.syspath_prepend(tmp_path)
    store = str(folder / "store")
    sleeping = recipe(folder, "own_steps.Sleep", name="sleeping", sources=("Jsonl",))

    def interrupt(line):
        said.append(line)
        if "listing inputs" in line:
            raise KeyboardInterrupt

    assert submit(sleeping, two.url, store, name="mine", echo=interrupt, allow=["own_steps"]) == 130
    assert two.jobs()["mine"] == "STOPPED"
    assert json.loads((folder / "store/runs/mine/run.json").read_text())["state"] == "cancelled"

    failing = recipe(folder, "own_steps.Fail", name="failing", sources=("Jsonl",))

    assert submit(failing, two.url, store, name="mine", echo=said.append, allow=["own_steps"]) == 5
    assert two.jobs()["mine.2"] == "FAILED"
    record = json.loads((folder / "store/runs/mine/run.json").read_text())
    assert record["state"] == "failed"
    assert "pages.Fail failed on" in record["error"]


def test_a_wrong_recipe_or_store_is_never_sent(two, token, folder, monkeypatch):
    before = two.jobs()
    good = recipe(folder)
    wrong = recipe(folder, {"stages.clean.NormalizeText": {"form": "NFX"}}, name="wrong")

    with pytest.raises(SpecError, match=r"wrong.yaml:\d+: flows.pages.stages\[0\]") as refusal:
        submit(wrong, two.url, str(folder / "store"))
    with pytest.raises(SpecError, match="absolute path of a disk that all nodes share"):
        submit(good, two.url, "bateia-store")
    with pytest.raises(SpecError, match="absolute path of a disk that all nodes share"):
        submit(good, two.url, "s3://bucket/store", inputs="pages/*.jsonl")
    for secret in ("s3://key:canary@bucket/x", "az://box/x?sv=2026&sig=canary"):
        with pytest.raises(SpecError, match="credentials") as told:
            submit(good, two.url, secret)
        assert "canary" not in str(told.value)
    with pytest.raises(SpecError, match="not a plain name"):
        submit(good, two.url, "s3://bucket/store", name="../x; rm")
    with pytest.raises(SpecError, match="'nowhere_at_all' is not installed"):
        submit(good, two.url, "s3://bucket/store", allow=["nowhere_at_all"])
    assert refusal.value.exit_code == 4
    assert two.jobs() == before


def test_without_the_right_token_nothing_is_run_or_told(two, folder, tmp_path, monkeypatch):
    path, store = recipe(folder), str(folder / "store")
    before = two.jobs()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)

    for asked in ("/api/jobs/", "/api/version", "/nodes?view=summary"):
        with pytest.raises(HTTPError, match="401"):
            urlopen(two.url + asked, timeout=30)
    with pytest.raises(RunnerError, match="asks for a token; put it into RAY_AUTH_TOKEN"):
        submit(path, two.url, store)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "canary" * 10)
    with pytest.raises(RunnerError, match="refuses the token") as refusal:
        submit(path, two.url, store)
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(RunnerError, match="RAY_AUTH_TOKEN_PATH: there is no file"):
        submit(path, two.url, store)

    assert "canary" not in str(refusal.value)
    assert "canary" not in repr(Cluster("http://x", "canary"))
    assert two.jobs() == before


class Open(BaseHTTPRequestHandler):
    """A cluster that lets everybody in; notes whether it was shown a token."""

    shown: ClassVar = []

    def do_GET(self):
        self.shown.append(self.headers.get("Authorization"))
        self.send_response(200 if self.path == "/api/version" else 418)
        self.end_headers()
        self.wfile.write(b'{"ray_version": "2.60.0"}')

    def log_message(self, *args):
        pass


def test_an_open_cluster_elsewhere_is_refused_and_shown_no_token(folder, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "canary")
    server = ThreadingHTTPServer(("0.0.0.0", 0), Open)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path, port = recipe(folder), server.server_port
    try:
        with pytest.raises(RunnerError, match="it asks for no token.*--insecure"):
            submit(path, f"http://0.0.0.0:{port}", "s3://bucket/store")  # no loopback address
        with pytest.raises(RunnerError, match="answered 418"):
            submit(path, f"0.0.0.0:{port}", "s3://bucket/store", insecure=True)
        with pytest.raises(RunnerError, match="answered 418"):
            submit(path, f"http://localhost:{port}/", "s3://bucket/store")
    finally:
        server.shutdown()
        server.server_close()

    assert len(Open.shown) >= 5
    assert set(Open.shown) == {None}


def test_an_address_without_a_cluster_is_one_clear_error(folder, monkeypatch):
    monkeypatch.setattr(cluster, "KNOCKING", 0.6)
    (port,) = free_ports(1)

    with pytest.raises(RunnerError, match=f"127.0.0.1:{port} cannot be reached: .*refused"):
        submit(recipe(folder), f"127.0.0.1:{port}", "s3://bucket/store")
    for address in ("ray://head:10001", "http://", "http://user:canary@head:8265"):
        with pytest.raises(SpecError, match="expected the URL of the cluster's dash") as refusal:
            submit(recipe(folder), address, "s3://bucket/store")
        assert "canary" not in str(refusal.value)


@pytest.mark.parametrize(
    "status, code, ours",
    [("SUCCEEDED", 0, 0), ("FAILED", 4, 4), ("FAILED", -9, 137), ("STOPPED", None, 130)],
)
def test_the_exit_code_is_the_one_of_the_run(status, code, ours):
    assert exit_code("mine", {"status": status, "driver_exit_code": code}) == ours


def test_a_job_that_never_ran_is_told_in_the_words_of_the_cluster():
    with pytest.raises(RunnerError, match="mine was lost by the cluster: no node has that"):
        exit_code("mine", {"status": "FAILED", "message": "no node has that"})


def test_what_is_shipped_is_the_code_and_the_recipe_and_no_cache(folder):
    shipped = pack(recipe(folder), PACKAGES)
    names = zipfile.ZipFile(io.BytesIO(shipped)).namelist()

    assert shipped == pack(recipe(folder), PACKAGES)
    assert {name.split("/")[0] for name in names} == {*PACKAGES, "recipe", "start.sh"}
    assert {"stages/base.py", "deploy/cli.py", "recipe/small.yaml"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or "/." in name]
    assert len(shipped) < 5 << 20
    assert zipfile.ZipFile(io.BytesIO(pack(recipe(folder), ()))).namelist() == [
        "recipe/small.yaml",
        "start.sh",
    ]
