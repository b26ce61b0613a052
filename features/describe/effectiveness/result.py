"""What a comparison before and after a date says: numbers, intervals, verdicts, and each in a
sentence.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from stagecast.features.clock import DAY_MICROSECONDS, from_microseconds, iso
from stagecast.features.describe.effectiveness.measures import Kind
from stagecast.features.describe.effectiveness.resampling import Spread
from stagecast.features.describe.effectiveness.windows import Window


@dataclass(frozen=True)
class BeyondSeason:
    """What is left of a difference when the same weeks of the year before are taken as the season.

    ``before`` and ``after`` are the measure a year earlier; ``difference`` is what was measured
    after the date, less what the earlier year's swing would have made of the measure before it.
    """

    before: float
    after: float
    difference: float
    spread: Spread
    beyond_chance: bool


@dataclass(frozen=True)
class Measure:
    """One measure, before and after: None where it could not be taken.

    ``spread`` is the 95 % interval of the difference taken alone, None where there were too few
    customers; ``beyond_chance`` the verdict among all the comparisons (Holm), so at most as
    generous as the interval.
    """

    kind: Kind
    before: float | None
    after: float | None
    spread: Spread | None
    beyond_chance: bool
    comparisons: int
    beyond_season: BeyondSeason | None

    @property
    def difference(self) -> float | None:
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def relative_difference(self) -> float | None:
        return None if self.difference is None or not self.before else self.difference / self.before

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval, taken alone, leaves no difference out."""
        return self.spread is not None and not self.spread.low <= 0 <= self.spread.high

    @property
    def sentence(self) -> str:
        """What was found, in plain words."""
        title = self.kind.title
        if self.before is None or self.after is None or self.difference is None:
            known = "after" if self.after is not None else "before"
            value = self.after if self.after is not None else self.before
            if value is None:
                return f"{title}: cannot be told on either side of the date."
            return (
                f"{title}: {self._with_unit(value)} {known} the date; the other side "
                "cannot be told."
            )
        text = f"{title} {self._moved(self.before, self.after)}"
        if self.spread is None:
            return f"{text}; too few customers to tell whether that is more than chance."
        text += (
            f"; the difference of {self._change(self.difference)} lies between "
            f"{self._between(self.spread)}"
        )
        if self.beyond_chance:
            text += ", so it is more than chance."
        elif self.excludes_zero:
            text += (
                ": more than chance if it were the only question, but among "
                f"{self.comparisons} comparisons one as"
                " large may be luck."
            )
        else:
            text += ", so it may be chance."
        return text + self._of_season()

    def _of_season(self) -> str:
        season = self.beyond_season
        if season is None:
            return ""
        went = self._moved(season.before, season.after)
        verdict = "more than chance" if season.beyond_chance else "may be chance"
        return (
            f" The year before, in the same weeks, it {went}; beyond that swing the difference is"
            f" {self._change(season.difference)}, between {self._between(season.spread)} "
            f"({verdict})."
        )

    def _moved(self, before: float, after: float) -> str:
        if self._number(before) == self._number(after):
            return f"stayed at {self._with_unit(after)}"
        change = ""
        if before and not self.kind.is_share:
            change = f" ({after / before - 1:+.0%})"
        word = "rose" if after > before else "fell"
        return f"{word} from {self._number(before)} to {self._with_unit(after)}{change}".replace(
            "(-", "(−"
        )

    def _with_unit(self, value: float) -> str:
        return f"{self._number(value)} {self.kind.unit}".rstrip()

    def _number(self, value: float) -> str:
        return f"{value:.1%}" if self.kind.is_share else f"{value:,.{self._decimals}f}"

    def _signed(self, value: float) -> str:
        # a decimal more than the values themselves, for the end of an interval that lies near zero
        decimals = (
            self._decimals + 1 if max(abs(self.before or 0.0), abs(self.after or 0.0)) < 1000 else 0
        )
        text = f"{100 * value:+.2f}" if self.kind.is_share else f"{value:+,.{decimals}f}"
        return text.replace("-", "−")

    @property
    def _decimals(self) -> int:
        """How many decimals give the measure three figures."""
        largest = max(abs(self.before or 0.0), abs(self.after or 0.0))
        return 2 if not largest else min(max(2 - math.floor(math.log10(largest)), 0), 6)

    def _change(self, value: float) -> str:
        return self._signed(value) + (" points" if self.kind.is_share else "")

    def _between(self, found: Spread) -> str:
        return f"{self._signed(found.low)} and {self._signed(found.high)}"

    def to_json(self) -> dict[str, Any]:
        """Return the measure as JSON-ready values; shares are between 0 and 1."""
        season = self.beyond_season
        return {
            "id": self.kind.id,
            "title": self.kind.title,
            "unit": "share" if self.kind.is_share else self.kind.unit,
            "before": self.before,
            "after": self.after,
            "difference": self.difference,
            "relative_difference": self.relative_difference,
            "low": None if self.spread is None else self.spread.low,
            "high": None if self.spread is None else self.spread.high,
            "p_value": None if self.spread is None else self.spread.p_value,
            "excludes_zero": self.excludes_zero,
            "beyond_chance": self.beyond_chance,
            "sentence": self.sentence,
            "year_before": None
            if season is None
            else {
                "before": season.before,
                "after": season.after,
                "beyond_season": season.difference,
                **asdict(season.spread),
                "beyond_chance": season.beyond_chance,
            },
        }


@dataclass(frozen=True)
class BeforeAfter:
    """A comparison of two windows that touch at a date.

    ``date`` and ``as_of`` in microseconds since 1970; ``customers_before`` and ``customers_after``
    those whom the figures per customer are over; ``left_out`` and ``caveats`` in sentences.
    """

    date: int
    as_of: int
    before: Window
    after: Window
    look_back_days: int
    stay_limit_days: int
    customers_before: int
    customers_after: int
    draws: int
    measures: tuple[Measure, ...]
    left_out: tuple[str, ...]
    caveats: tuple[str, ...]

    @property
    def comparisons(self) -> int:
        """How many measures were compared, so how many chances of a false alarm there were."""
        return sum(measure.spread is not None for measure in self.measures)

    @property
    def headline(self) -> str:
        """The whole in one sentence."""
        changed = [measure.kind.title for measure in self.measures if measure.beyond_chance]
        if not self.comparisons:
            return "Too few customers on one side of the date to compare anything."
        if not changed:
            return f"Of {self.comparisons} measures compared, none differs by more than chance."
        verb = "differs" if len(changed) == 1 else "differ"
        return (
            f"Of {self.comparisons} measures compared, {len(changed)} {verb} by more "
            f"than chance: {', '.join(changed)}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready values; ``end`` of a window is the day after its
        last.
        """
        return {
            "date": iso(from_microseconds(self.date)),
            "as_of": iso(from_microseconds(self.as_of)),
            "windows": {
                name: {"start": _day(window.start), "end": _day(window.end), "customers": customers}
                for name, window, customers in (
                    ("before", self.before, self.customers_before),
                    ("after", self.after, self.customers_after),
                )
            },
            "window_days": self.before.days,
            "look_back_days": self.look_back_days,
            "stay_limit_days": self.stay_limit_days,
            "draws": self.draws,
            "comparisons": self.comparisons,
            "headline": self.headline,
            "measures": [measure.to_json() for measure in self.measures],
            "left_out": list(self.left_out),
            "caveats": list(self.caveats),
        }

    def to_table(self) -> pa.Table:
        """Return one row per measure (:data:`SCHEMA`)."""
        rows = []
        for measure in self.measures:
            row = measure.to_json()
            season = row.pop("year_before") or {}
            rows.append(row | {f"year_before_{name}": season.get(name) for name in _SEASON})
        return pa.Table.from_pylist(rows, schema=SCHEMA)


_NUMBERS = ("before", "after", "difference", "relative_difference", "low", "high", "p_value")
_SEASON = ("before", "after", "beyond_season", "low", "high", "p_value")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "title", "unit")),
        *((name, pa.float64()) for name in _NUMBERS),
        *((name, pa.bool_()) for name in ("excludes_zero", "beyond_chance")),
        ("sentence", pa.string()),
        *((f"year_before_{name}", pa.float64()) for name in _SEASON),
        ("year_before_beyond_chance", pa.bool_()),
    ]
)


def _day(number: int) -> str:
    return iso(from_microseconds(number * DAY_MICROSECONDS))
