"""The page of `bateia tune`: thresholds of a run on a desk, served to this machine only.

It listens on 127.0.0.1, its address holds a secret, it answers no other host name and no other
origin, and its content security policy names the hashes of its own script and style.
"""

import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from deploy.pages import digest, environment, read, script_json
from deploy.wording import show
from pipelines.bounds import amended, difference, read_recipe, with_bounds, write_recipe
from pipelines.outlook import Outlook
from pipelines.runs import Run
from pipelines.store import encode
from pipelines.tuning import Tuning, engine
from stages.config import HOMES
from stages.errors import DataError, Error, SpecError
from stages.filter import Bound
from stages.measure import ABOUT

if TYPE_CHECKING:
    from fastapi import FastAPI

CLIP = 3_000  # characters of a document that is shown
NEAR = 6  # documents on each side of a line
CHANGED = 8  # documents that change sides


class Desk:
    """A run, the recipe behind it, and what has been asked about its flows so far."""

    def __init__(self, run: Run, recipe: Path | None = None) -> None:
        self.run = run
        self.place = recipe or Path(run.record.get("place") or "")
        self.opened: dict[str, Outlook] = {}

    @property
    def recipe(self) -> Path:
        """The pipeline file. SpecError if nobody knows where it is."""
        if not self.place.is_file():
            where = f"{self.place}: is not there" if self.place.name else "its recipe is not known"
            raise SpecError(f"{self.run.id}: {where}; name the file with --recipe")
        return self.place

    @cached_property
    def flows(self) -> list[str]:
        """The flows that have filters. DataError if there are none."""
        found = [s["flow"] for s, work in self.run.walked() if any(work.filters)]
        if not found:
            raise DataError(f"{self.run.id}: no filter has run, so there is no threshold to move")
        return list(dict.fromkeys(found))

    def outlook(self, flow: str) -> Outlook:
        """A flow, loaded when it is asked for first."""
        if flow not in self.opened:
            self.opened[flow] = Outlook(Tuning.open(self.run, flow))
        return self.opened[flow]

    def _amended(self, settings: Mapping[str, Bound]) -> tuple[str, str]:
        ours = {
            f"{type(step).__module__.partition('.')[0]}."
            for flow in self.run.pipeline().flows.values()
            for step in (*flow.inputs, *flow.steps)
            if not isinstance(step, str)
        }
        before = read_recipe(self.recipe)
        return before, amended(before, str(self.recipe), settings, (*HOMES, *ours))

    def difference(self, settings: Mapping[str, Bound]) -> str:
        """What would be other lines of the recipe."""
        return difference(*self._amended(settings), self.recipe.name)

    def apply(self, settings: Mapping[str, Bound]) -> str:
        """Write bounds into the recipe; what changed in it."""
        before, after = self._amended(settings)
        if before != after:
            write_recipe(self.recipe, after)
        return difference(before, after, self.recipe.name)

    def saved(self) -> dict[str, Bound]:
        """The bounds that were saved for this run."""
        return self.run.store.read(f"runs/{self.run.id}/bounds.json") or {}

    def save(self, settings: Mapping[str, Bound]) -> None:
        """Keep bounds beside the run, for `bateia tune --apply`. SpecError if they make no sense."""
        with_bounds(self.run.pipeline(), settings)
        self.run.store.overwrite(f"runs/{self.run.id}/bounds.json", encode(dict(settings)))

    # -- what the page asks --------------------------------------------------------------------

    def state(self, flow: str) -> dict[str, Any]:
        """Everything about a flow that the page draws before anything is moved."""
        outlook = self.outlook(flow)
        tuning = outlook.tuning
        numbers = outlook.numbers({}, range(1, len(tuning.rules) + 1))
        return {
            "flow": flow,
            "rules": [
                {
                    "number": number,
                    "filter": rule.judge.name,
                    "rule": rule.name,
                    "reason": rule.reason,
                    "about": ABOUT.get(rule.name, ""),
                    "sense": rule.judge.step.senses[rule.name],
                    "bound": getattr(rule.judge.step, rule.name),
                    "own": {
                        language: bounds[rule.name]
                        for language, bounds in rule.judge.step.by_language.items()
                        if rule.name in bounds
                    },
                    "behind": [tuning.places[place].stage for place in rule.judge.behind],
                    **axis,
                }
                for number, (rule, axis) in enumerate(
                    zip(tuning.rules, outlook.axes, strict=True), 1
                )
            ],
            "languages": tuning.languages,
            "numbers": numbers,
        }

    def documents(self, asked: Mapping[str, Any]) -> str:
        """Documents beside a line, or that change sides, as a piece of the page."""
        outlook = self.outlook(asked["flow"])
        side, number = asked["side"], int(asked["number"])
        many = NEAR if side in ("outside", "inside") else CHANGED
        rows = outlook.documents(asked["settings"], side, number, asked.get("language", ""), many)
        return fragment(rows, outlook.tuning.rules[number - 1].name)


def fragment(rows: list[dict[str, Any]], measure: str) -> str:
    """Documents as a piece of the page, whatever they hold."""
    page = environment().get_template("documents.html")
    return page.render(rows=rows, measure=measure, show=lambda text: show(text, CLIP))


def page(desk: Desk) -> tuple[str, str]:
    """The page, and the content security policy that it is served with."""
    style, script = read("report.css") + read("tune.css"), read("tune.js")
    policy = (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)}; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    data = {
        "flows": desk.flows,
        "run": desk.run.id,
        "saved": desk.saved(),
        "recipe": str(desk.place),
    }
    made = environment().get_template("tune.html")
    text = made.render(
        run=desk.run, recipe=desk.place, style=Markup(style), script=Markup(script),  # noqa: S704
        data=script_json(data),
    )  # fmt: skip
    return text, policy


def app_of(desk: Desk, secret: str) -> "FastAPI":
    """The web application; every path in it begins with the secret."""
    from fastapi import FastAPI, Request, Response
    from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def guard(request: Request, onward: Callable[[Request], Awaitable[Response]]) -> Response:
        port, head = request.scope["server"][1], request.headers
        here = {f"127.0.0.1:{port}", f"localhost:{port}"}
        origin, said = head.get("origin"), request.url.path.split("/")[1]
        ours = head.get("host") in here and secrets.compare_digest(said.encode(), secret.encode())
        near = origin in {f"http://{name}" for name in here}
        if request.method == "GET":
            near = near or origin is None
        else:  # no form of another page can send JSON
            near = near and head.get("content-type") == "application/json"
        if not (ours and near):
            return PlainTextResponse("not for you", 403)
        answer = await onward(request)
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    @app.exception_handler(Error)
    async def told(_: Request, error: Error) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 422)

    @app.get(f"/{secret}/")
    def opened() -> HTMLResponse:
        text, policy = page(desk)
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})

    _answer(app, desk, secret)
    return app


def _answer(app: "FastAPI", desk: Desk, secret: str) -> None:
    """What the page asks for, one question at a time: there is one connection to the table."""
    from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

    one = Lock()

    @app.get(f"/{secret}/flow/{{flow}}")
    def flow(flow: str) -> JSONResponse:
        with one:
            return JSONResponse(desk.state(flow))

    @app.post(f"/{secret}/numbers")
    def numbers(asked: dict[str, Any]) -> JSONResponse:
        with one:
            outlook = desk.outlook(asked["flow"])
            return JSONResponse(
                outlook.numbers(asked["settings"], asked["wanted"], asked["language"])
            )

    @app.post(f"/{secret}/documents")
    def documents(asked: dict[str, Any]) -> HTMLResponse:
        with one:
            return HTMLResponse(desk.documents(asked))

    @app.post(f"/{secret}/difference")
    def changed(asked: dict[str, Any]) -> PlainTextResponse:
        return PlainTextResponse(desk.difference(asked["settings"]))

    @app.post(f"/{secret}/save")
    def save(asked: dict[str, Any]) -> JSONResponse:
        desk.save(asked["settings"])
        return JSONResponse({})

    @app.post(f"/{secret}/apply")
    def apply(asked: dict[str, Any]) -> JSONResponse:
        with one:
            desk.save(asked["settings"])
            desk.apply(asked["settings"])
        return JSONResponse({"recipe": str(desk.recipe)})


def serve(desk: Desk, port: int) -> int:
    """Serve the page until interrupted; the exit code."""
    engine()
    try:
        import fastapi  # noqa: F401 -- used by `app_of`
        import uvicorn
    except ModuleNotFoundError:
        raise SpecError(
            "the page needs fastapi and uvicorn: install bateia with the extra `tune`"
        ) from None
    desk.outlook(desk.flows[0])
    secret = secrets.token_urlsafe(16)
    with socket.socket() as ear:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ear.bind(("127.0.0.1", port))
        ear.listen()  # whoever reads the address below may come before the server is up
        print(
            f"{desk.run.id}: thresholds at http://127.0.0.1:{ear.getsockname()[1]}/{secret}/",
            flush=True,
        )
        print("stop with Ctrl-C", flush=True)
        server = uvicorn.Server(uvicorn.Config(app_of(desk, secret), log_level="warning"))
        try:
            server.run(sockets=[ear])
        except KeyboardInterrupt:
            return 0
    return 0
