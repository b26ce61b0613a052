"""Result of a comparison before and after a date: numbers, intervals, verdicts, sentences."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from stagecast.features.clock import DAY_MICROSECONDS, from_microseconds, iso
from stagecast.features.describe.effectiveness.measures import MeasureKind
from stagecast.features.describe.effectiveness.resampling import Spread
from stagecast.features.describe.effectiveness.windows import Window


@dataclass(frozen=True)
class BeyondSeason:
    """A difference after correction for the season, taken from the same weeks of the year before.

    Parameters
    ----------
    before, after
        The measure a year earlier.
    difference
        The measure after the date, less the measure before it times the ratio of ``after`` to
        ``before``.
    spread
        95 % interval of the difference.
    beyond_chance
        Whether it is significant among all the comparisons (Holm).
    """

    before: float
    after: float
    difference: float
    spread: Spread
    beyond_chance: bool


@dataclass(frozen=True)
class Measure:
    """One measure before and after the date.

    Parameters
    ----------
    kind
        What is measured.
    before, after
        None if it is unknown.
    spread
        95 % interval of the difference taken alone; None with too few customers.
    beyond_chance
        Whether the difference is significant among all the comparisons (Holm); only if the interval
        excludes 0.
    comparisons
        Number of comparisons.
    beyond_season
        None if the year before is unknown.
    """

    kind: MeasureKind
    before: float | None
    after: float | None
    spread: Spread | None
    beyond_chance: bool
    comparisons: int
    beyond_season: BeyondSeason | None

    @property
    def difference(self) -> float | None:
        """After less before; None if one of them is unknown."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def relative_difference(self) -> float | None:
        """The difference over the measure before; None if unknown or before is 0."""
        return None if self.difference is None or not self.before else self.difference / self.before

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval, taken alone, excludes a difference of 0."""
        return self.spread is not None and not self.spread.low <= 0 <= self.spread.high

    @property
    def sentence(self) -> str:
        """The result in words."""
        title = self.kind.title
        if self.before is None or self.after is None or self.difference is None:
            known = "after" if self.after is not None else "before"
            value = self.after if self.after is not None else self.before
            if value is None:
                return f"{title}: cannot be told on either side of the date."
            return (
                f"{title}: {self._text_with_unit(value)} {known} the date; the other side "
                "cannot be told."
            )
        text = f"{title} {self._movement_text(self.before, self.after)}"
        if self.spread is None:
            return f"{text}; too few customers to tell whether that is more than chance."
        text += (
            f"; the difference of {self._difference_text(self.difference)} lies between "
            f"{self._interval_text(self.spread)}"
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
        return text + self._season_text()

    def _season_text(self) -> str:
        """Return the sentence about the year before; empty if it is unknown."""
        season = self.beyond_season
        if season is None:
            return ""
        movement = self._movement_text(season.before, season.after)
        verdict = "more than chance" if season.beyond_chance else "may be chance"
        return (
            f" The year before, in the same weeks, it {movement}; beyond that swing "
            f"the difference is {self._difference_text(season.difference)}, "
            f"between {self._interval_text(season.spread)} ({verdict})."
        )

    def _movement_text(self, before: float, after: float) -> str:
        """Return in words whether the measure rose, fell, or stayed."""
        if self._number_text(before) == self._number_text(after):
            return f"stayed at {self._text_with_unit(after)}"
        change = ""
        if before and not self.kind.is_share:
            change = f" ({after / before - 1:+.0%})"
        word = "rose" if after > before else "fell"
        text = f"{word} from {self._number_text(before)} to {self._text_with_unit(after)}{change}"
        return text.replace("(-", "(−")

    def _text_with_unit(self, value: float) -> str:
        return f"{self._number_text(value)} {self.kind.unit}".rstrip()

    def _number_text(self, value: float) -> str:
        return f"{value:.1%}" if self.kind.is_share else f"{value:,.{self._decimals}f}"

    def _signed_text(self, value: float) -> str:
        # one decimal more than the values have, for ends of intervals near zero
        decimals = (
            self._decimals + 1 if max(abs(self.before or 0.0), abs(self.after or 0.0)) < 1000 else 0
        )
        text = f"{100 * value:+.2f}" if self.kind.is_share else f"{value:+,.{decimals}f}"
        return text.replace("-", "−")

    @property
    def _decimals(self) -> int:
        """Number of decimals that give the measure three significant digits."""
        largest = max(abs(self.before or 0.0), abs(self.after or 0.0))
        return 2 if not largest else min(max(2 - math.floor(math.log10(largest)), 0), 6)

    def _difference_text(self, value: float) -> str:
        return self._signed_text(value) + (" points" if self.kind.is_share else "")

    def _interval_text(self, spread: Spread) -> str:
        return f"{self._signed_text(spread.low)} and {self._signed_text(spread.high)}"

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

    Parameters
    ----------
    date, as_of
        Microseconds since 1970, UTC.
    before, after
        The windows.
    look_back_days
        Days before a window in which a purchase makes a customer one of the window's.
    stay_limit_days
        Longer stays on a stage count as this number of days.
    customers_before, customers_after
        Number of customers whom the figures per customer are over.
    draws
        Draws of customers behind each interval.
    measures
        The measures that could be taken.
    left_out
        What is not among the measures, and why, in sentences.
    caveats
        What a reader must know before believing a difference, in sentences.
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
        """Number of measures that were compared, each of which may be a false alarm."""
        return sum(measure.spread is not None for measure in self.measures)

    @property
    def headline(self) -> str:
        """The result in one sentence."""
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
        """Return JSON-ready values; ``end`` of a window is the day after its last."""
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
    """Return the ISO date of a day number."""
    return iso(from_microseconds(number * DAY_MICROSECONDS))
