"""What other thresholds would have kept, from the features of a run, without running anything.

The documents of a flow that came to its first filter are one table in memory (DuckDB): where each of
them left, and the measures that filters judge by, exact. A moved threshold is one scan of it. Rules are
judged in order, as `stages.filter` does; what left elsewhere than at a filter stays gone; and a
document that would now pass every filter that has its measures *goes on* to stages that have not
judged it: it is counted apart, and nobody says that it would be kept. Barriers decide nothing anew.
"""

# ruff: noqa: S608 -- names in SQL are those of our own plan, bounds are numbers

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipelines.bounds import filters_of, moved, place_of
from pipelines.graph import Pipeline
from pipelines.plan import Pass
from pipelines.runs import Run
from pipelines.worker import READ
from stages.errors import DataError, SpecError
from stages.filter import Bound, Filter
from stages.measure import Measure
from stages.shards import FEATURES

if TYPE_CHECKING:
    import duckdb

KEPT, GOES_ON, FIXED = (
    0,
    -1,
    1_000,
)  # fates; 1 to 999: the rule that drops; FIXED + place: elsewhere
NEVER = 30_000  # the place of leaving of what never left
HOST = r"^[a-z][a-z0-9+.-]*://(?:[^/@?#]*@)?([^/:?#]+)"


@dataclass(frozen=True)
class Place:
    """A stage at which documents of a flow may leave."""

    shift: int  # its pass, from the first that has a filter
    stage: str  # as features name it
    step: Any = None  # None: a reading or a sketch, where only what breaks leaves
    at: int = -1  # its position in the chain of its pass; -1: a barrier


@dataclass(frozen=True)
class Judge:
    """A filter of the flow: where it stands, and which column each of its rules judges."""

    name: str  # `GopherQuality`, as in `crawl.GopherQuality.words`
    place: int  # its position among all places
    shift: int
    step: Filter
    columns: dict[str, str]  # rule -> column of the table
    behind: tuple[int, ...]  # places that have not judged what it dropped


@dataclass(frozen=True)
class Rule:
    """A rule of a filter: what a fate above 0 stands for."""

    judge: Judge
    name: str

    @property
    def reason(self) -> str:
        return f"{self.judge.step.family}.{self.name}"

    @property
    def feature(self) -> str:
        """Its column in the features of its pass."""
        return self.judge.columns[self.name].partition(".")[2]

    @property
    def column(self) -> str:
        return f'"{self.judge.columns[self.name]}"'


@dataclass
class Tuning:
    """The filters of a flow and the documents that came to the first of them.

    The table `docs`: `shard`, `id`, `language` and `domain` (numbers), `bytes`, `left_at` (a place, or
    NEVER), `fixed` (the same, NEVER where a filter dropped it), `goes_on`, `now` (a fate), measures.
    """

    run: Run
    flow: str
    base: "duckdb.DuckDBPyConnection"
    places: list[Place]
    judges: list[Judge]
    keys: list[list[str]]  # the shards of each pass, from the first that has a filter
    came: int  # documents that came into the flow
    languages: list[str] = field(default_factory=list)  # number 1 is the first; 0: unknown
    rate: float | None = None  # bytes of text per token, where a flow behind packs them

    @classmethod
    def open(cls, run: Run, flow: str) -> "Tuning":
        """Load a flow. DataError if no filter is in it, or the features do not say what the run did."""
        walked = [(stretch, work) for stretch, work in run.walked() if stretch["flow"] == flow]
        first = next((at for at, (_, work) in enumerate(walked) if any(work.filters)), None)
        if first is None:
            raise DataError(f"{run.id}: the flow {flow!r} has no filter that was run")
        came = sum(run.store.get(key).result["stages"][0]["in"] for key in walked[0][0]["keys"])
        works = [work for _, work in walked[first:]]
        places = places_of(works)
        names = iter(filters_of(run.pipeline().flows[flow]))
        judges = list(judges_of(works, places, names))
        keys = [stretch["keys"] for stretch, _ in walked[first:]]
        base = engine().connect(config={"preserve_insertion_order": False})
        tuning = cls(run, flow, base, places, judges, keys, came, rate=bytes_per_token(run, flow))
        tuning._load()
        return tuning

    @cached_property
    def pipeline(self) -> Pipeline:
        """The pipeline as it was run."""
        return self.run.pipeline()

    @cached_property
    def rules(self) -> list[Rule]:
        """Every rule whose measure was taken, in the order in which they are judged."""
        return [
            Rule(judge, name)
            for judge in self.judges
            for name in judge.step.senses
            if name in judge.columns
        ]

    # -- the table -----------------------------------------------------------------------------

    def _load(self) -> None:
        """Read the features of every pass into one row per document, and judge them as they were."""
        passes = range(len(self.keys))
        for shift in passes:
            self._read(shift)
        joined = " ".join(f"LEFT JOIN f{s} USING (shard, id)" for s in passes[1:])

        def first(column: str, order: Any = passes, default: str = "NULL") -> str:
            return f"coalesce({', '.join(f'f{s}.{column}' for s in order)}, {default})"

        measured = [f"f{j.shift}.{rule.column}" for rule in self.rules for j in [rule.judge]]
        self.base.execute(
            f"CREATE TABLE raw AS SELECT shard, id, f0.language, f0.domain, {first('rule')} AS rule, "
            f"{first('bytes', reversed(passes))} AS bytes, {first('left_at', default=str(NEVER))} "
            f"AS left_at, {', '.join(dict.fromkeys(measured))} FROM f0 {joined} "
            f"WHERE f0.left_at IS NULL OR f0.left_at >= {self.judges[0].place}"
        )
        for shift in passes:
            self.base.execute(f"DROP TABLE f{shift}")
        for name in ("language", "domain"):
            self.base.execute(
                f"CREATE TABLE {name}s AS SELECT name, row_number() OVER (ORDER BY name)::INTEGER AS "
                f"code FROM (SELECT DISTINCT {name} AS name FROM raw WHERE {name} <> '')"
            )
        found = self.base.execute("SELECT name FROM languages ORDER BY code").fetchall()
        self.languages = [name for (name,) in found]
        judged = ", ".join(str(judge.place) for judge in self.judges)
        onward = ", ".join(str(judge.place) for judge in self.judges if judge.behind) or "NULL"
        dropped = f"rule IS NOT NULL AND left_at IN ({judged})"
        self.base.execute(
            f"CREATE TABLE docs AS SELECT *, {self.fate({})} AS now FROM (SELECT raw.* EXCLUDE "
            "(language, domain), coalesce(l.code, 0)::SMALLINT AS language, coalesce(d.code, 0) AS "
            f"domain, CASE WHEN {dropped} THEN {NEVER} ELSE left_at END::SMALLINT AS fixed, "
            f"coalesce(rule IS NOT NULL AND left_at IN ({onward}), false) AS goes_on FROM raw "
            "LEFT JOIN languages l ON l.name = language LEFT JOIN domains d ON d.name = domain)"
        )
        self.base.execute("DROP TABLE raw")
        self._prove(judged)
        self.base.execute("ALTER TABLE docs DROP COLUMN rule")

    def _read(self, shift: int) -> None:
        """The features of a pass as the table `f0`, `f1`, ...: only the columns that are needed."""
        store = self.run.store
        paths = [str(store.open(key, FEATURES, check=False)) for key in self.keys[shift]]
        files = self.base.execute("SELECT name FROM parquet_schema($1)", [paths]).fetchall()
        known = {name for (name,) in files}
        at = " ".join(
            f"WHEN {_quoted(place.stage)} THEN {number}"
            for number, place in enumerate(self.places)
            if place.shift == shift
        )
        wanted = {r.column: r.feature for r in self.rules if r.judge.shift == shift}
        columns = [f'"{name}"::DOUBLE AS {column}' for column, name in wanted.items()]
        if shift == 0:
            columns.append("language" if "language" in known else "NULL::VARCHAR AS language")
            columns.append(f"regexp_extract(lower(url), {_quoted(HOST)}, 1) AS domain")
        self.base.execute(
            f"CREATE TABLE f{shift} AS SELECT shard, id, "
            f"bytes, rule, CASE WHEN verdict = 'kept' THEN NULL ELSE (CASE stage {at} END)::SMALLINT "
            f"END AS left_at, {', '.join(columns) or '1'} "
            "FROM read_parquet($1, filename = true, union_by_name = true) JOIN (SELECT unnest($1) AS "
            "filename, (generate_subscripts($1, 1) - 1)::INTEGER AS shard) USING (filename)",
            [paths],
        )

    def _prove(self, judged: str) -> None:
        """DataError unless the rules, applied to the features, say what the run said."""
        said = self.base.execute(
            "SELECT left_at, rule, count(*) FROM docs WHERE rule IS NOT NULL AND left_at IN "
            f"({judged}) GROUP BY ALL"
        ).fetchall()
        ours = self.base.execute("SELECT now, count(*) FROM docs GROUP BY now").fetchall()
        found = {
            (rule.judge.place, rule.reason): many
            for fate, many in ours
            if 0 < fate < FIXED
            for rule in [self.rules[fate - 1]]
        }
        if found != {(place, rule): many for place, rule, many in said}:
            raise DataError(
                f"{self.run.id}: the features of {self.flow!r} do not say what its rules say: they "
                f"were made by another version; run again"
            )

    # -- thresholds ----------------------------------------------------------------------------

    def steps(self, settings: Mapping[str, Bound]) -> dict[str, Filter]:
        """Each filter by its name, with the bounds of `FLOW.FILTER.RULE` in place of its own.

        SpecError where they make no sense; those of other flows are passed over.
        """
        pipeline = self.pipeline
        asked: dict[int, dict[tuple[str, ...], Bound]] = {}
        for name, bound in settings.items():
            place = place_of(pipeline, name)
            if place.flow == self.flow:
                asked.setdefault(place.at, {})[place.keys] = bound
        positions = filters_of(pipeline.flows[self.flow])
        found = {}
        for judge in self.judges:
            where = f"{self.flow}.{judge.name}"
            bounds = asked.get(positions[judge.name], {})
            for keys in bounds:
                if keys[-1] not in judge.columns:
                    raise SpecError(
                        f"{where}.{'.'.join(keys)}: this run did not measure {keys[-1]!r}; set the "
                        f"rule in the recipe and run it first"
                    )
            found[judge.name] = moved(judge.step, bounds, self.flow) if bounds else judge.step
        return found

    def fate(self, settings: Mapping[str, Bound], without: int = 0) -> str:
        """The SQL of what becomes of a document under some bounds, `without` one of the rules."""
        steps, cases = self.steps(settings), []
        numbers = {(rule.judge.name, rule.name): n for n, rule in enumerate(self.rules, 1)}
        for judge in self.judges:
            cases.append(f"WHEN fixed <= {judge.place} THEN {FIXED} + fixed")
            for condition, rules in self.groups(steps[judge.name]):
                for name, low, high in rules:
                    number = numbers.get((judge.name, name))
                    if number and number != without:
                        column = self.rules[number - 1].column
                        broken = f"NOT ({column} BETWEEN {_sql(low)} AND {_sql(high)})"
                        cases.append(f"WHEN {condition}{broken} THEN {number}")
        cases.append(f"WHEN fixed < {NEVER} THEN {FIXED} + fixed WHEN goes_on THEN {GOES_ON}")
        return f"CAST(CASE {' '.join(cases)} ELSE {KEPT} END AS SMALLINT)"

    def groups(self, step: Filter) -> Iterator[tuple[str, tuple[tuple[str, float, float], ...]]]:
        """The rules of a filter, and the SQL of the documents that they hold for."""
        codes = {name: self.code(name) for name in step.rules_by_language}
        for name, rules in step.rules_by_language.items():
            if codes[name]:
                yield f"language = {codes[name]} AND ", rules
        others = ", ".join(str(code) for code in codes.values() if code)
        yield f"language NOT IN ({others}) AND " if others else "", step.rules

    def code(self, language: str) -> int:
        """The number of a language in the table; 0 if no document has it."""
        return self.languages.index(language) + 1 if language in self.languages else 0


def _sql(value: float) -> str:
    """A number as SQL reads it, exactly."""
    return f"'{value!r}'::DOUBLE"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def places_of(works: list[Pass]) -> list[Place]:
    """Every stage of some passes at which a document may leave, in order."""
    places = []
    for shift, work in enumerate(works):
        places.append(Place(shift, READ))
        lead = len(work.names) - len(work.chain)
        for at, name in enumerate(work.names, -lead):
            places.append(Place(shift, name, work.chain[at] if at >= 0 else work.entry, at))
        if work.exit:
            places.append(Place(shift, f"{type(work.exit).__name__}.sketch"))
    return places


def judges_of(works: list[Pass], places: list[Place], names: Iterator[str]) -> Iterator[Judge]:
    """The filters of some passes, in order."""
    for number, place in enumerate(places):
        for at, step, columns in works[place.shift].filters if place.step else ():
            if at == place.at:
                own = {rule: f"{place.shift}.{column}" for rule, column in columns.items()}
                behind = [
                    later
                    for later in range(number + 1, len(places))
                    if _unjudged(works[place.shift], place, places[later])
                ]
                yield Judge(next(names), number, place.shift, step, own, tuple(behind))


def _unjudged(work: Pass, place: Place, later: Place) -> bool:
    """Whether a stage behind a filter has not judged what the filter dropped.

    Another filter has, unless it takes the measures anew: a document leaves with all there are.
    """
    if later.step is None or isinstance(later.step, Measure):
        return False
    if not isinstance(later.step, Filter) or later.shift != place.shift:
        return True
    return any(isinstance(step, Measure) for step in work.chain[place.at : later.at])


def bytes_per_token(run: Run, flow: str) -> float | None:
    """Bytes of text per token, by the flows behind this one that were packed; None without any."""
    flows = run.pipeline().flows
    behind, size, tokens = {flow}, 0, 0
    for name in run.pipeline().order():
        if behind & {source for source in flows[name].inputs if isinstance(source, str)}:
            behind.add(name)
    for stretch, work in run.walked():
        if stretch["flow"] in behind and work.sink:
            for key in stretch["keys"]:
                result = run.store.get(key).result
                size += result["stages"][-1]["bytes_out"]
                tokens += result["counts"].get("tokens", 0)
    return size / tokens if tokens else None


def engine() -> Any:
    """DuckDB. SpecError that names the extra if it is not installed."""
    try:
        import duckdb
    except ModuleNotFoundError:
        raise SpecError(
            "tuning needs duckdb, fastapi and uvicorn: install bateia with the extra `tune`"
        ) from None
    return duckdb
