"""What moved thresholds would change: how much is kept, by language and domain, and which documents."""

# ruff: noqa: S608 -- names in SQL are those of our own plan, bounds are numbers

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.sampling import texts_of
from pipelines.tuning import FIXED, GOES_ON, KEPT, NEVER, Rule, Tuning
from stages.errors import SpecError
from stages.filter import Bound
from stages.measure import COUNTS

BINS = 60
LANGUAGES = 100  # shown: the largest
DOMAINS = 12  # shown: the largest, and as many that change most
SAMPLED = 50_000  # documents by which the ends of an axis are chosen
SIDES = ("outside", "inside", "lost", "won")


class Outlook:
    """Answers about one flow; what holds whatever the thresholds are is asked once."""

    def __init__(self, tuning: Tuning) -> None:
        self.tuning = tuning
        self.base = tuning.base
        self.axes = [self._axis(rule) for rule in tuning.rules]
        self.before: dict[tuple[int, int], np.ndarray] = {}  # (rule, language): bins by fate now
        for group in ("language", "domain"):
            self.base.execute(
                f"CREATE TABLE by_{group} AS SELECT {group}, count(*) AS documents, "
                f"count(*) FILTER (now = {KEPT}) AS kept, "
                f"coalesce(sum(bytes) FILTER (now = {KEPT}), 0)::BIGINT AS bytes "
                f"FROM docs GROUP BY {group}"
            )
        self.now = self.base.execute(
            "SELECT now, count(*), sum(bytes)::BIGINT FROM docs GROUP BY now ORDER BY now"
        ).fetchall()
        self.share = [self._share_kept(judge.place) for judge in tuning.judges]

    def _share_kept(self, place: int) -> float:
        """Of the documents that passed a filter, the share that was kept to the end of the flow."""
        passed, kept = self.base.execute(
            f"SELECT count(*), count(*) FILTER (now = {KEPT}) FROM docs WHERE left_at > {place}"
        ).fetchall()[0]
        return kept / passed if passed else 0.0

    def _axis(self, rule: Rule) -> dict[str, Any]:
        """The bins of a measure: from its 1st to its 999th thousandth, bounds included, even or log."""
        column = rule.column
        (many,) = self.base.execute("SELECT count(*) FROM docs").fetchall()[0]
        every = max(1, many // SAMPLED)
        low, high = self.base.execute(
            f"SELECT quantile_disc({column}, 0.001), quantile_disc({column}, 0.999) "
            f"FROM docs WHERE {column} IS NOT NULL AND isfinite({column}) "
            f"AND hash(id) % {every} = 0"
        ).fetchall()[0]
        if low is None:
            low = high = 0.0
        whole = rule.name in COUNTS
        bounds = [
            end
            for rules in (rule.judge.step.rules, *rule.judge.step.rules_by_language.values())
            for name, *ends in rules
            for end in ends
            if name == rule.name and math.isfinite(end) and end <= 1.5 * max(high, 1)
        ]
        low, high = min([low, *bounds]), max([high, *bounds])
        log = whole and high > 200
        if log:
            low = max(low, 1.0)
            edges = np.geomspace(low, max(high, low + 1), BINS + 1)
        else:
            bins = min(BINS, max(1, int(high - low) + 1)) if whole else BINS
            high = low + bins if whole and bins < BINS else high
            edges = np.linspace(low, high if high > low else low + 1, bins + 1)
        return {
            "edges": [float(f"{edge:.6g}") for edge in edges.tolist()],
            "log": log,
            "whole": whole,
        }

    def _bin(self, number: int) -> str:
        """The SQL of the bin of a measure; what lies beyond the axis is in its first or last bin."""
        axis, column = self.axes[number - 1], self.tuning.rules[number - 1].column
        low, high, bins = axis["edges"][0], axis["edges"][-1], len(axis["edges"]) - 1
        if axis["log"]:
            position = f"ln(greatest({column}, {low!r}) / {low!r}) / {math.log(high / low)!r}"
        else:
            position = f"({column} - {low!r}) / {high - low!r}"
        last = bins - 1
        return f"least(greatest(floor({position} * {bins}), 0), {last})::TINYINT"

    # -- numbers -------------------------------------------------------------------------------

    def numbers(
        self, settings: Mapping[str, Bound], wanted: Sequence[int] = (), language: str = ""
    ) -> dict[str, Any]:
        """What would be kept under some bounds, against what was.

        `wanted`: the rules (from 1) whose histograms are asked for, of the documents of `language`.
        """
        columns = dict.fromkeys(self.tuning.rules[number - 1].column for number in wanted)
        more = "".join(f", {column}" for column in columns)
        self.base.execute(
            f"CREATE OR REPLACE TEMP TABLE changed AS SELECT * FROM (SELECT language, domain, bytes, "
            f"now{more}, {self.tuning.fate(settings)} AS fate FROM docs) WHERE fate <> now"
        )
        moves = self.base.execute(
            "SELECT now, fate, count(*), sum(bytes)::BIGINT FROM changed GROUP BY ALL"
        ).fetchall()
        found = self._totals(moves)
        found["languages"] = self._groups(
            "language", f"ORDER BY documents DESC, name LIMIT {LANGUAGES}"
        )
        found["domains"] = self._groups(
            "domain",
            f"QUALIFY row_number() OVER (ORDER BY documents DESC, name) <= {DOMAINS} OR (row_number() "
            f"OVER (ORDER BY abs(more) + goes_on DESC, name) <= {DOMAINS} AND abs(more) + goes_on > 0) "
            "ORDER BY documents DESC, name",
        )
        found["histograms"] = {number: self._histogram(number, language) for number in wanted}
        return found

    def _totals(self, moves: list[tuple[int, int, int, int]]) -> dict[str, Any]:
        """The sums of a flow: documents and bytes kept, what goes on, what each rule drops."""
        tuning = self.tuning
        fates = {fate: [many, size] for fate, many, size in self.now}
        after = {fate: list(both) for fate, both in fates.items()}
        goes_on = [0] * len(tuning.judges)
        estimate = 0.0
        for now, fate, many, size in moves:
            for key, sign in ((now, -1), (fate, 1)):
                both = after.setdefault(key, [0, 0])
                both[0] += sign * many
                both[1] += sign * size
            if fate == GOES_ON:
                judge = tuning.judges.index(tuning.rules[now - 1].judge)
                goes_on[judge] += many
                estimate += self.share[judge] * many

        def side(both: Mapping[int, list[int]], fate: int) -> dict[str, Any]:
            documents, size = both.get(fate, (0, 0))
            tokens = round(size / tuning.rate) if tuning.rate else None
            return {"documents": documents, "bytes": size, "tokens": tokens}

        return {
            "came": tuning.came,
            "judged": sum(both[0] for both in fates.values()),
            "now": side(fates, KEPT),
            "new": side(after, KEPT),
            "goes_on": {**side(after, GOES_ON), "estimate": round(estimate)},
            "lost": sum(n for now, fate, n, _ in moves if now == KEPT and fate > 0),
            "won": sum(n for now, fate, n, _ in moves if now > 0 and fate == KEPT),
            "rules": [
                {"now": fates.get(n, [0])[0], "new": after.get(n, [0])[0]}
                for n in range(1, len(tuning.rules) + 1)
            ],
            "filters": [
                {
                    "name": judge.name,
                    "now": self._passed(at, fates, [0] * len(goes_on)),
                    "new": self._passed(at, after, goes_on),
                    "unjudged": sum(
                        n for by, n in enumerate(goes_on) if n and not self._judged(by, judge.place)
                    ),
                }
                for at, judge in enumerate(tuning.judges)
            ],
        }

    def _judged(self, by: int, place: int) -> bool:
        """Whether what a filter dropped is known to pass a place, once it passes the filter."""
        return place < min(self.tuning.judges[by].behind, default=NEVER)

    def _passed(self, at: int, fates: Mapping[int, list[int]], goes_on: list[int]) -> int:
        """How many documents are known to pass a filter."""
        place = self.tuning.judges[at].place
        passed = 0
        for fate, (many, _) in fates.items():
            if fate == KEPT or fate >= FIXED + place:
                passed += many if fate != FIXED + place else 0
            elif fate > 0 and fate < FIXED:
                passed += many if self.tuning.rules[fate - 1].judge.place > place else 0
        return passed + sum(n for by, n in enumerate(goes_on) if n and self._judged(by, place))

    def _groups(self, group: str, order: str) -> list[dict[str, Any]]:
        """Documents and bytes kept, by language or domain."""
        rows = self.base.execute(
            f"WITH moved AS (SELECT {group}, count(*) FILTER (fate = {KEPT}) - count(*) FILTER "
            f"(now = {KEPT}) AS more, coalesce(sum(bytes) FILTER (fate = {KEPT}), 0)::BIGINT - "
            f"coalesce(sum(bytes) FILTER (now = {KEPT}), 0)::BIGINT AS grown, count(*) FILTER "
            f"(fate = {GOES_ON}) AS goes_on FROM changed GROUP BY {group}), "
            f"every AS (SELECT b.*, coalesce(m.more, 0) AS more, coalesce(m.grown, 0) AS grown, "
            f"coalesce(m.goes_on, 0) AS goes_on, coalesce(n.name, '') AS name FROM by_{group} b "
            f"LEFT JOIN moved m USING ({group}) LEFT JOIN {group}s n ON n.code = b.{group}) "
            f"SELECT name, documents, kept, kept + more, bytes, bytes + grown, goes_on FROM every {order}"
        ).fetchall()
        keys = ("name", "in", "now", "new", "bytes_now", "bytes_new", "goes_on")
        return [dict(zip(keys, row, strict=True)) for row in rows]

    def _histogram(self, number: int, language: str) -> dict[str, list[int]]:
        """Documents by bin of a rule's measure: kept, going on, dropped by it, dropped elsewhere."""
        code = self.tuning.code(language)
        only = f"AND language = {code}" if language else ""
        bins = len(self.axes[number - 1]["edges"]) - 1
        column = self.tuning.rules[number - 1].column

        def count(fate: str, table: str) -> np.ndarray:
            out = np.zeros((4, bins), np.int64)
            for at, side, many in self.base.execute(
                f"SELECT {self._bin(number)} AS bin, CASE {fate} WHEN {KEPT} THEN 0 WHEN {GOES_ON} "
                f"THEN 1 WHEN {number} THEN 2 ELSE 3 END AS side, count(*) FROM {table} "
                f"WHERE {column} IS NOT NULL {only} GROUP BY ALL"
            ).fetchall():
                out[side, at] += many
            return out

        if (number, code) not in self.before:
            self.before[number, code] = count("now", "docs")
        after = self.before[number, code] + count("fate", "changed") - count("now", "changed")
        names = ("kept", "goes_on", "dropped", "elsewhere")
        return {name: row.tolist() for name, row in zip(names, after, strict=True)}

    # -- documents -----------------------------------------------------------------------------

    def documents(
        self,
        settings: Mapping[str, Bound],
        side: str,
        number: int,
        language: str = "",
        many: int = 5,
    ) -> list[dict[str, Any]]:
        """Some documents on one side of a rule's line, the nearest first, or that change sides.

        `outside`, `inside`: those that this rule alone decides about. `lost`, `won`: those kept that
        would leave, and those dropped that would be kept or go on, by whatever rule.
        """
        if side not in SIDES:
            raise SpecError(f"{side!r}: expected one of {', '.join(SIDES)}")
        rule = self.tuning.rules[number - 1]
        shown = "SELECT shard, id, language, now, fate"
        fates = (
            f"{self.tuning.fate(settings)} AS fate, {self.tuning.fate(settings, number)} AS other"
        )
        table = f"(SELECT *, {fates} FROM docs)"
        if side in ("lost", "won"):
            here = f"now = {KEPT} AND fate > 0" if side == "lost" else f"now > 0 AND fate <= {KEPT}"
            queries = [
                f"{shown}, NULL FROM {table} WHERE {here} ORDER BY hash(id), id LIMIT {many}"
            ]
        else:
            queries = list(self._beside(settings, side, rule, number, language))
            queries = [
                f"{shown}, {rule.column} FROM {table} WHERE {query} LIMIT {many}"
                for query in queries
            ]
        rows = [row for query in queries for row in self.base.execute(query).fetchall()]
        return self._shown(rule.judge.shift, rows)

    def _beside(
        self, settings: Mapping[str, Bound], side: str, rule: Rule, number: int, language: str
    ) -> Iterator[str]:
        """The SQL of the documents beside each bound of a rule, with their order."""
        step = self.tuning.steps(settings)[rule.judge.name]
        groups = list(self.tuning.groups(step))
        code = self.tuning.code(language)
        own = [(c, r) for c, r in groups if c == f"language = {code} AND "] or groups[-1:]
        also = f"language = {code} AND " if language else ""
        for condition, rules in own:
            for _, low, high in (r for r in rules if r[0] == rule.name):
                for bound, out, into in ((low, "<", ">="), (high, ">", "<=")):
                    if math.isfinite(bound):
                        fates = (
                            f"fate = {number} AND other <= {KEPT}"
                            if side == "outside"
                            else f"fate <= {KEPT}"
                        )
                        sign = out if side == "outside" else into
                        order = "DESC" if sign[0] == "<" else "ASC"
                        yield (
                            f"{also}{condition}{fates} AND {rule.column} {sign} {bound!r} "
                            f"ORDER BY {rule.column} {order}, hash(id), id"
                        )

    def _shown(self, shift: int, rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
        """Documents for people: their text as it lies in a pass, and what becomes of them."""
        tuning = self.tuning
        texts: dict[int, dict[str, dict[str, Any]]] = {}
        for shard in {row[0] for row in rows}:
            ids = [row[1] for row in rows if row[0] == shard]
            texts[shard] = texts_of(tuning.run.store, tuning.keys[shift][shard], ids)
        return [
            {
                "id": id_,
                "url": found.get("url"),
                "text": found.get("text") or "",
                "language": tuning.languages[language - 1] if language else None,
                "value": measured,
                "now": self.called(now),
                "new": self.called(fate),
                "kept": fate <= KEPT,
            }
            for shard, id_, language, now, fate, measured in rows
            for found in [texts[shard].get(id_, {})]
        ]

    def called(self, fate: int) -> str:
        """What a fate is called."""
        if fate == KEPT:
            return "kept"
        if fate == GOES_ON:
            return "goes on"
        if fate >= FIXED:
            return self.tuning.places[fate - FIXED].stage
        return self.tuning.rules[fate - 1].reason
