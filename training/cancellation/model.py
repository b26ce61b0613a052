"""P(cancelled within so many days) of open contracts: the members of the pool, and how they make
one curve.

Each member gives the chance of a cancellation in each step of the horizon; they are pooled in log
odds. What is left after a step is the product of what each leaves:

    P(cancelled within h | open now)  =  1 - product over the steps of (1 - hazard)

Within a step the hazard is spread evenly. Beyond the horizon that the model was trained for, a
contract goes on along the curve by age, times what it had of that curve over the horizon.

Source: Singer and Willett (1993), "It's about time: using discrete-time survival analysis to study
duration and the timing of events", Journal of Educational Statistics 18, equations 1 to 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from lightgbm.basic import LightGBMError

from stagecast.features.arrays import Array
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.cancellation.ages import AgeHazard
from stagecast.training.cancellation.cloglog import GroupedHazards
from stagecast.training.cancellation.columns import (
    OWN_COLUMNS,
    SEASON_COLUMNS,
    check_columns,
    step_columns,
)
from stagecast.training.cancellation.landmarks import Landmarks, step_days
from stagecast.training.cancellation.members import AgeOdds, HazardOdds, TreesOnAges
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.pool import Member, Pool

Method = Literal["share", "ages", "pool"]
METHODS: tuple[Method, ...] = ("share", "ages", "pool")
MEMBERS = ("glm", "trees")

FEWEST_BY_AGE = 10
"""Cancellations below which all ages have one rate, the smoothed share."""

FEWEST_TO_LEARN = 30
"""Cancellations below which only the age of a contract is looked at."""

LATEST_DAYS = 1_826
"""Five years: a later median is not told."""

_SMALLEST = 1e-6


@dataclass(frozen=True)
class CancellationModel:
    """What gives P(cancelled) of open contracts; see the module.

    Parameters
    ----------
    method
        ``share`` (one rate for all), ``ages`` (a rate by age), or ``pool``.
    horizon_days
        What it was trained for.
    weights
        Member of the pool -> weight; they sum to 1. ``ages`` alone for the first two methods.
    ages, glm, trees
        The members; the trees start from the log odds of ``ages``.
    columns
        What the caller must hand over, beside what is known of the contract itself.
    season
        Whether the place in the year is a column.
    spells, cancellations
        What was learned from.
    """

    method: Method
    horizon_days: int
    weights: Mapping[str, float]
    ages: AgeHazard
    glm: GroupedHazards | None
    trees: Boosted | None
    columns: tuple[str, ...]
    season: bool
    spells: int
    cancellations: int

    @property
    def low_data(self) -> bool:
        """Whether too few cancelled for more than a rate by age."""
        return self.method != "pool"

    @property
    def step_days(self) -> int:
        """Length of a step."""
        return step_days(self.horizon_days)

    @property
    def steps(self) -> int:
        """How many steps the horizon has; the last may reach beyond it."""
        return -(-self.horizon_days // self.step_days)

    @cached_property
    def pool(self) -> Pool:
        """Log odds of a cancellation in a step, of the rows of :func:`step_columns`."""
        by_age = AgeOdds(self.ages, self.step_days)
        members: dict[str, Member] = {"ages": by_age}
        if self.glm is not None:
            members["glm"] = HazardOdds(self.glm)
        if self.trees is not None:
            members["trees"] = TreesOnAges(by_age, self.trees)
        return Pool(
            {name: member for name, member in members.items() if name in self.weights},
            self.weights,
            max_log_odds=np.inf,
        )

    def hazards(
        self, now: Landmarks, columns: Mapping[str, Array] | None = None, threads: int = 0
    ) -> Array:
        """Return P(cancelled in a step | open at its beginning), shape (rows, steps).

        Parameters
        ----------
        now
            Open contracts as they stand, see
            :func:`stagecast.training.cancellation.landmarks.current`.
        columns
            Name -> one value per row, as known then; those of the training, others are not looked
            at.

        Raises
        ------
        UsageError
            A column of the training is not there, or has another length.
        """
        return np.asarray(-np.expm1(-self._cumulated(now, columns, threads)))

    def _cumulated(
        self, now: Landmarks, columns: Mapping[str, Array] | None, threads: int
    ) -> Array:
        """Return minus the log of what each step leaves, shape (rows, steps)."""
        given = check_columns(columns or {}, self.columns, len(now))
        if not len(now):
            return np.zeros((0, self.steps))
        result = np.empty((len(now), self.steps))
        rows = np.arange(len(now))
        for k in range(self.steps):
            ahead = np.full(len(now), k, dtype=np.int64)
            seen = step_columns(now, given, rows, ahead, self.step_days, season=self.season)
            result[:, k] = np.logaddexp(0.0, self.pool.margin(seen, threads))
        return result

    def survival(
        self,
        now: Landmarks,
        days: Array | float,
        columns: Mapping[str, Array] | None = None,
        threads: int = 0,
    ) -> Array:
        """Return P(not cancelled within so many days), one per row.

        Parameters
        ----------
        days
            One number, or one per row; 0 or more, beyond the horizon too.

        Raises
        ------
        UsageError
            A number of days below 0 or not finite; and as :meth:`hazards`.
        """
        asked = np.broadcast_to(np.asarray(days, dtype=np.float64), (len(now),))
        if not (np.isfinite(asked) & (asked >= 0)).all():
            raise UsageError(f"days = {days} must be finite and 0 or more")
        return np.exp(-self._over(now, self._cumulated(now, columns, threads), asked))

    def _over(self, now: Landmarks, cumulated: Array, days: Array) -> Array:
        """Return minus the log of what is left after so many days."""
        step, horizon = self.step_days, self.horizon_days
        begun = np.arange(self.steps) * step
        parts = np.clip((np.minimum(days, horizon)[:, None] - begun) / step, 0.0, 1.0)
        within = (cumulated * parts).sum(axis=1)
        beyond = np.maximum(days - horizon, 0.0)
        return np.asarray(
            within + self._times(now, cumulated) * self.ages.ahead(now.age_days + horizon, beyond)
        )

    def _times(self, now: Landmarks, cumulated: Array) -> Array:
        """Return how many times the hazard by age each contract has over the horizon."""
        parts = np.clip(
            (self.horizon_days - np.arange(self.steps) * self.step_days) / self.step_days, 0.0, 1.0
        )
        return np.asarray(
            (cumulated @ parts) / self.ages.ahead(now.age_days, float(self.horizon_days))
        )

    def probability(
        self,
        now: Landmarks,
        columns: Mapping[str, Array] | None = None,
        days: Array | float | None = None,
        threads: int = 0,
    ) -> Array:
        """Return P(a cancellation within ``[as_of, as_of + days)``), one per row, above 0 and below
        1.

        Parameters
        ----------
        now, columns
            See :meth:`hazards`.
        days
            None: the horizon of the training.

        Raises
        ------
        UsageError
            As :meth:`survival`.
        """
        left = self.survival(
            now, float(self.horizon_days) if days is None else days, columns, threads
        )
        # of n contracts seen, n + 1 of n + 2 is the most that can be believed
        return np.clip(1.0 - left, _SMALLEST, (self.spells + 1) / (self.spells + 2))

    def median_days(
        self, now: Landmarks, columns: Mapping[str, Array] | None = None, threads: int = 0
    ) -> Array:
        """Return the days until half of such contracts are cancelled, one per row; NaN beyond
        five years.
        """
        cumulated = self._cumulated(now, columns, threads)
        half = np.log(2.0)
        ends = np.minimum(np.arange(1, self.steps + 1) * self.step_days, self.horizon_days).astype(
            np.float64
        )
        begun = np.arange(self.steps) * float(self.step_days)
        sums = np.cumsum(cumulated * ((ends - begun) / self.step_days), axis=1)
        k = np.minimum((sums < half).sum(axis=1), self.steps - 1)
        rows = np.arange(len(now))
        before = np.where(k > 0, sums[rows, np.maximum(k - 1, 0)], 0.0)
        within = (
            begun[k] + (half - before) / np.maximum(cumulated[rows, k], 1e-300) * self.step_days
        )
        then = now.age_days + self.horizon_days
        rest = (half - sums[:, -1]) / np.maximum(self._times(now, cumulated), 1e-300)
        later = (
            self.horizon_days
            + self.ages.age_at(self.ages.cumulative(then) + np.maximum(rest, 0.0))
            - then
        )
        days = np.where(sums[:, -1] >= half, within, later)
        return np.where(days <= LATEST_DAYS, days, np.nan)

    def to_json(self) -> dict[str, Any]:
        """Return plain data; the trees are LightGBM's text."""
        return {
            "method": self.method,
            "horizon_days": self.horizon_days,
            "weights": dict(self.weights),
            "ages": self.ages.to_json(),
            "glm": None if self.glm is None else self.glm.to_json(),
            "trees": None
            if self.trees is None
            else {"text": self.trees.text, "columns": list(self.trees.columns)},
            "columns": list(self.columns),
            "season": self.season,
            "spells": self.spells,
            "cancellations": self.cancellations,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CancellationModel:
        """Read what :meth:`to_json` gives, and nothing else.

        Raises
        ------
        DataRefusedError
            A key is missing or strange, or a value is not what it should be.
        """
        try:
            return _read(data)
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            IndexError,
            LightGBMError,
        ) as error:
            raise DataRefusedError(
                f"not a model of cancellations ({error!r}); train it again"
            ) from error


def _read(data: Mapping[str, Any]) -> CancellationModel:
    wanted = set(CancellationModel.__dataclass_fields__)
    if strange := sorted(wanted ^ set(data)):
        raise ValueError(f"lacks, or should not have, {', '.join(strange)}")
    glm, trees = data["glm"], data["trees"]
    if data["method"] not in METHODS:
        raise ValueError(f"method is {data['method']!r}")
    for name in ("horizon_days", "spells", "cancellations"):
        if type(data[name]) is not int or data[name] < (name == "horizon_days"):
            raise ValueError(f"{name} is {data[name]!r}")
    if type(data["season"]) is not bool or not all(type(name) is str for name in data["columns"]):
        raise ValueError("season is no truth value, or a name of a column no text")
    weights = {str(name): float(weight) for name, weight in data["weights"].items()}
    there = (
        {"ages"}
        | ({"glm"} if glm is not None else set())
        | ({"trees"} if trees is not None else set())
    )
    if not weights or not set(weights) <= there or not there - set(weights) <= {"ages"}:
        raise ValueError(f"the weights are of {sorted(weights)}, the members {sorted(there)}")
    if min(weights.values()) < 0 or abs(sum(weights.values()) - 1.0) > 1e-9:
        raise ValueError("the weights do not sum to 1")
    known = {*OWN_COLUMNS, *(SEASON_COLUMNS if data["season"] else ()), *data["columns"]}
    boosted = None
    if trees is not None:
        boosted = Boosted(str(trees["text"]), tuple(str(name) for name in trees["columns"]))
        if set(trees) != {"text", "columns"} or boosted.booster.feature_name() != list(
            boosted.columns
        ):
            raise ValueError("the columns of the trees are not those of their text")
    regression = None if glm is None else GroupedHazards.from_json(glm)
    asked = {
        *(boosted.columns if boosted else ()),
        *(term.column for term in (regression.design.terms if regression else ())),
    }
    if unknown := sorted(asked - known):
        raise ValueError(f"learned from columns that it does not name: {', '.join(unknown)}")
    return CancellationModel(
        data["method"],
        data["horizon_days"],
        weights,
        AgeHazard.from_json(data["ages"]),
        regression,
        boosted,
        tuple(data["columns"]),
        data["season"],
        data["spells"],
        data["cancellations"],
    )
