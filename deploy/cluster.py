"""Run a recipe on a cluster through Ray Jobs: ship it, start it once, follow it, hand back its exit code.

Plain HTTP to the cluster's dashboard, no Ray in this process: Ray's own client lets $RAY_ADDRESS
override the address it is given, knows no time limit, and tells a busy cluster from a refusal only
in the words of its errors.
"""

import asyncio
import hashlib
import ipaddress
import json
import os
import re
import secrets
import shlex
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from deploy.parcel import everywhere, pack
from deploy.settings import PACKAGES
from pipelines.graph import Pipeline
from stages.config import homes
from stages.errors import RunnerError, SpecError

Echo: TypeAlias = Callable[[str], None]

KNOCKING = 30.0  # seconds until a cluster that does not answer is none
TAKING = 90.0  # seconds for a cluster that has just started to take a job
FOLLOWING = 600.0  # seconds that a cluster under way may be out of reach
STOPPING = 30.0  # seconds for a stopped run to note that it was stopped
ANSWERING = 60.0  # seconds for one answer
HEARTBEAT = 30.0  # seconds between proofs that a silent log is still connected
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
CONTROLS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def submit(
    recipe: Path,
    address: str,
    store: str,
    inputs: str | None = None,
    ship: bool = True,
    name: str | None = None,
    echo: Echo = print,
    *,
    insecure: bool = False,
    allow: Sequence[str] = (),
) -> int:
    """Run a recipe on the cluster whose dashboard is at `address`; the run's own exit code.

    ship: take the code from here, and not from the cluster's image. allow: packages of steps of
    one's own. name: the run's id. A run of that name that is under way or has succeeded is followed
    and not started again; one that failed is started anew, and finds its results done.

    SpecError before anything is sent; RunnerError if there is no such cluster, if it refuses, or if
    it is lost. On KeyboardInterrupt the run is stopped.
    """
    pipeline = Pipeline.load(recipe, inputs, homes(allow))
    name = name or f"{pipeline.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    if not NAME.fullmatch(name):
        raise SpecError(f"--name: {name!r} is not a plain name: letters, digits, - and _")
    arguments = ["run", f"recipe/{recipe.name}", f"--store={everywhere(store, '--store')}"]
    arguments += [f"--name={name}", "--ray=auto", *(f"--allow={package}" for package in allow)]
    arguments += [f"--input={everywhere(inputs, '--input')}"] if inputs else []
    package = pack(recipe, (*PACKAGES, *allow) if ship else ())
    cluster = Cluster.at(address, insecure)
    entry = shlex.join(["exec", "sh", "start.sh", *arguments])
    job = cluster.start(name, entry, cluster.upload(package), echo)
    try:
        return exit_code(job, cluster.follow(job, echo))
    except KeyboardInterrupt:
        echo(f"stopping {job}")
        cluster.stop(job)
        return 130


class UnwellError(Exception):
    """No answer, or an answer of 500 and more: worth asking again."""


@dataclass(frozen=True)
class Cluster:
    """The Jobs API of a Ray cluster."""

    url: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, address: str, insecure: bool = False) -> "Cluster":
        """The cluster behind an address. Its token is sent only if it asks for one."""
        url = address.rstrip("/") if "://" in address else f"http://{address.rstrip('/')}"
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise SpecError(
                "--address: expected the URL of the cluster's dashboard, such as http://head:8265"
            )
        status, _ = cls(url)._ask("GET", "/api/version", seconds=KNOCKING)
        if status == 200:
            if not insecure and not is_loopback(parts.hostname):
                raise RunnerError(
                    f"{url} runs jobs for anybody who can reach it: it asks for no token. Start the "
                    f"cluster with RAY_AUTH_MODE=token, or say --insecure"
                )
            return cls(url)
        if status != 401:
            raise RunnerError(f"{url} is not the dashboard of a Ray cluster (it answered {status})")
        cluster = cls(url, find_token())
        if cluster.token is None:
            raise RunnerError(
                f"{url} asks for a token; put it into RAY_AUTH_TOKEN, or its file's path into "
                f"RAY_AUTH_TOKEN_PATH, or the token into ~/.ray/auth_token"
            )
        cluster._json("GET", "/api/version", seconds=KNOCKING)
        return cluster

    def upload(self, package: bytes) -> str:
        """The URI of a package in the cluster, which keeps it for as long as a job uses it."""
        name = f"_ray_pkg_{hashlib.sha256(package).hexdigest()[:32]}.zip"
        path = f"/api/packages/gcs/{name}"
        if self._ask("GET", path, seconds=KNOCKING)[0] == 404:
            self._json("PUT", path, package, seconds=KNOCKING)
        return f"gcs://{name}"

    def start(self, name: str, entry: str, package: str, echo: Echo) -> str:
        """Start a run, or find it started. The id of its job: the name, with .2, .3 after failures.

        Ray takes an id once, so however often this is asked, and by however many, one run starts.
        """
        metadata = {"bateia": hashlib.sha256(f"{entry}\n{package}".encode()).hexdigest()}
        body = {
            "entrypoint": entry,
            "runtime_env": {"working_dir": package},
            "metadata": metadata,
        }
        for attempt in count(1):
            job = name if attempt == 1 else f"{name}.{attempt}"
            known = self.find(job)
            if known is None:
                self._post(body | {"submission_id": job})
                echo(f"{self.url} runs {job}")
                return job
            if known["status"] in ("FAILED", "STOPPED"):
                continue
            if known.get("metadata") != metadata:
                raise RunnerError(
                    f"{self.url} knows {job} as another run: its recipe, options or code differ; "
                    f"choose another --name"
                )
            echo(f"{self.url} has {job} already ({known['status'].lower()})")
            return job
        raise AssertionError

    def _post(self, body: dict[str, Any]) -> None:
        """Submit, and ask after every failure whether it was taken nevertheless."""
        for last in waits(TAKING):
            try:
                self._json("POST", "/api/jobs/", json.dumps(body).encode(), seconds=0)
                return
            except UnwellError as unwell:
                if self.find(body["submission_id"]) is not None:
                    return
                if last:
                    raise RunnerError(f"{self.url} takes no jobs: {unwell}") from None

    def find(self, job: str) -> dict[str, Any] | None:
        """What the cluster knows of a job."""
        status, answer = self._ask("GET", f"/api/jobs/{job}", seconds=KNOCKING)
        return None if status == 404 else self._read(status, answer)

    def follow(self, job: str, echo: Echo) -> dict[str, Any]:
        """Say every line that a job writes, once, whatever becomes of the connection; its end."""
        said = Said(echo)
        while True:
            asyncio.run(self._listen(job, said))
            try:
                details: dict[str, Any] = self._json("GET", f"/api/jobs/{job}", seconds=FOLLOWING)
            except RunnerError as lost:
                raise RunnerError(f"lost sight of {job}, which may go on: {lost}") from None
            if details["status"] in ENDED:
                break
            time.sleep(1)
        with suppress(
            RunnerError
        ):  # the node that holds the log may be gone; the run's end is known
            said.at(0, self._json("GET", f"/api/jobs/{job}/logs", seconds=KNOCKING)["logs"])
        said.rest()
        return details

    async def _listen(self, job: str, said: "Said") -> None:
        """Hear a job's log from its first line until it or the connection ends."""
        import aiohttp

        stream = self.url + f"/api/jobs/{job}/logs/tail"
        heard = 0
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers()) as session,
                session.ws_connect(stream, heartbeat=HEARTBEAT, max_msg_size=0) as lines,
            ):
                async for text in texts(lines):
                    said.at(heard, text)
                    heard += len(text)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return

    def stop(self, job: str) -> None:
        """End a job, and wait until it has noted that."""
        self._json("POST", f"/api/jobs/{job}/stop", b"", seconds=KNOCKING)
        until = time.monotonic() + STOPPING
        while time.monotonic() < until and (self.find(job) or {}).get("status") not in ENDED:
            time.sleep(0.5)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _json(self, method: str, path: str, data: bytes | None = None, *, seconds: float) -> Any:
        return self._read(*self._ask(method, path, data, seconds=seconds))

    def _read(self, status: int, answer: bytes) -> Any:
        """The content of an answer. RunnerError if it is a refusal."""
        if status in (401, 403):
            raise RunnerError(f"{self.url} refuses the token; it is not the one of this cluster")
        if status != 200:
            raise RunnerError(f"{self.url} answered {status}: {last_line(answer)}")
        try:
            return json.loads(answer or b"null")
        except ValueError:
            raise RunnerError(f"{self.url} is not the dashboard of a Ray cluster") from None

    def _ask(
        self, method: str, path: str, data: bytes | None = None, *, seconds: float
    ) -> tuple[int, bytes]:
        """The status and content of an answer; asks again for some seconds if the cluster is unwell.

        With no seconds at all: UnwellError at once.
        """
        for last in waits(seconds):
            try:
                return self._ask_once(method, path, data)
            except UnwellError as unwell:
                if not seconds:
                    raise
                if last:
                    raise RunnerError(
                        f"the cluster at {self.url} cannot be reached: {unwell}"
                    ) from None
        raise AssertionError

    def _ask_once(self, method: str, path: str, data: bytes | None) -> tuple[int, bytes]:
        headers = self._headers() | {"Content-Type": "application/json"}
        request = Request(self.url + path, data, headers, method=method)  # noqa: S310 -- http(s) only
        try:
            with urlopen(request, timeout=ANSWERING) as answer:  # noqa: S310
                return answer.status, answer.read()
        except HTTPError as refusal:
            content = refusal.read()
            if refusal.code >= 500:
                raise UnwellError(last_line(content)) from None
            return refusal.code, content
        except URLError as away:
            raise UnwellError(str(away.reason)) from None
        except (OSError, HTTPException) as cut:
            raise UnwellError(str(cut)) from None


class Said:
    """What was said of a log that is heard from its start again and again."""

    def __init__(self, echo: Echo) -> None:
        self.echo = echo
        self.length = 0
        self.line = ""

    def at(self, place: int, text: str) -> None:
        """Say what is new in a piece of the log, without the controls that could fool a terminal."""
        new = text[max(0, self.length - place) :]
        self.length += len(new)
        *lines, self.line = (self.line + new).split("\n")
        for line in lines:
            self.echo(CONTROLS.sub("", line))

    def rest(self) -> None:
        """Say a last line that does not end."""
        if self.line:
            self.echo(CONTROLS.sub("", self.line))


async def texts(lines: Any) -> AsyncIterator[str]:
    """The text messages of a web socket, until it is closed."""
    import aiohttp

    async for message in lines:
        if message.type == aiohttp.WSMsgType.TEXT:
            yield message.data


def exit_code(job: str, details: dict[str, Any]) -> int:
    """The exit code of a job that has ended. RunnerError if it never came to run."""
    code: int | None = details.get("driver_exit_code")
    if details["status"] == "STOPPED":
        return 130
    if code is None and details["status"] == "FAILED":
        raise RunnerError(f"{job} was lost by the cluster: {details.get('message')}")
    return 128 - code if code and code < 0 else code or 0


def waits(seconds: float) -> Iterator[bool]:
    """Attempts with a doubling pause between them, for some seconds; True with the last of them."""
    until, pause = time.monotonic() + seconds, 0.5
    while time.monotonic() + pause < until:
        yield False
        time.sleep(pause)
        pause = min(pause * 2, 8.0)
    yield True


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and nobody else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def find_token() -> str | None:
    """The token of a cluster, from where Ray itself looks for it."""
    token = os.environ.get("RAY_AUTH_TOKEN")
    if token:
        return token.strip()
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        if named:
            raise RunnerError(f"RAY_AUTH_TOKEN_PATH: there is no file {named}") from None
        return None
    except OSError as wrong:
        raise RunnerError(f"{path}: the token cannot be read: {wrong.strerror}") from None


def last_line(answer: bytes) -> str:
    """The last line of an error: the cluster answers with whole tracebacks."""
    lines = answer.decode(errors="replace").strip().splitlines()
    return CONTROLS.sub("", lines[-1].strip()[:300]) if lines else "without a word"
