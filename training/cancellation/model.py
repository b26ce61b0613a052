"""P(cancelled within a number of days) of open contracts: a pool of hazards in steps.

Each member gives the probability of a cancellation in each step of the horizon; they are pooled in
log odds. The steps are combined to

    P(cancelled within h | open now)  =  1 - product over the steps of (1 - hazard)

Within a step the hazard rate is constant. Beyond the horizon that the model was trained for, the
hazard is that by age, times the ratio of the contract's hazard to that by age over the horizon.

Source: Singer and Willett (1993), "It's about time: using discrete-time survival analysis to study
duration and the timing of events", Journal of Educational Statistics 18, equations 1 to 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.billing.periods import NO_PERIODS, BillingPeriods
from stagecast.training.billing.standing import RENEWAL_HAZARD
from stagecast.training.billing.unannounced import Unannounced
from stagecast.training.cancellation.ages import AgeHazard
from stagecast.training.cancellation.cloglog import GroupedHazards
from stagecast.training.cancellation.columns import (
    OWN_COLUMNS,
    SEASON_COLUMNS,
    check_columns,
    renewals_within,
    step_columns,
)
from stagecast.training.cancellation.end_days import DAYS_OF_MONTH, EndDay, share_of_month
from stagecast.training.cancellation.landmarks import Landmarks, step_days
from stagecast.training.cancellation.members import AgeOdds, HazardOdds, TreesOnAges
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.pool import Member, Pool

Method = Literal["share", "ages", "pool"]
METHODS: tuple[Method, ...] = ("share", "ages", "pool")
MEMBERS = ("ages", "glm", "trees")
"""Members of the pool: Kaplan-Meier's life table by age, a regression, and trees that start from
the life table.
"""

FEWEST_BY_AGE = 10
"""With fewer cancellations, all ages have one rate, the smoothed share."""

FEWEST_TO_LEARN = 30
"""With fewer cancellations, only the age of a contract is used."""

OPTIONAL = ("billing", "level", "end_day", "unannounced")
"""Parts that bundles of before, and of logs without them, lack."""

LATEST_DAYS = 1_826
"""Five years; a later median is NaN."""

_SMALLEST = 1e-6


@dataclass(frozen=True)
class CancellationModel:
    """Model of P(cancelled) of open contracts; see the module.

    Parameters
    ----------
    method
        ``share`` (one rate for all), ``ages`` (a rate by age), or ``pool``.
    horizon_days
        Horizon that it was trained for, in days.
    weights
        Member of :data:`MEMBERS` -> weight, with sum 1; only ``ages`` for the first two methods.
    ages, glm, trees
        The members; the trees start from the log odds of ``ages``.
    columns
        Names of the columns that predictions need, in addition to those of the contract itself.
    season
        Whether the time of year is a column.
    spells, cancellations
        Number of contracts and of cancellations that it was fitted on.
    billing
        The billing periods whose renewals are a column; none where contracts are not paid at
        regular intervals, and in bundles of before.
    level
        Logarithm of the factor of the hazard of the pool; 0 in bundles of before.
    end_day
        The day of the month on which contracts end, with which a step has another hazard than
        without; None where they end on any, and in bundles of before.
    unannounced
        Share of the ends that are not known before; None where none was announced, and in bundles
        of before.
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
    billing: BillingPeriods = NO_PERIODS
    level: float = 0.0
    end_day: EndDay | None = None
    unannounced: Unannounced | None = None

    @property
    def low_data(self) -> bool:
        """Whether there were too few cancellations for more than a rate by age."""
        return self.method != "pool"

    @property
    def step_days(self) -> int:
        """Length of a step, in days."""
        return step_days(self.horizon_days)

    @property
    def steps(self) -> int:
        """Number of steps of the horizon; the last may reach beyond it."""
        return -(-self.horizon_days // self.step_days)

    @property
    def days_by_age(self) -> int:
        """Days whose hazard by age is that of a step.

        With one day of the month on which contracts end, a step that holds it has the hazard of a
        month.
        """
        return self.step_days if self.end_day is None else max(self.step_days, DAYS_OF_MONTH)

    @property
    def age_odds(self) -> AgeOdds:
        """The member by age, where the trees start from, too."""
        return AgeOdds(self.ages, self.days_by_age, self.unannounced)

    @cached_property
    def pool(self) -> Pool:
        """The pool of log odds of a cancellation in a step, on columns of :func:`step_columns`."""
        by_age = self.age_odds
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
        self, landmarks: Landmarks, columns: Mapping[str, Array] | None = None, threads: int = 0
    ) -> Array:
        """Return P(cancelled in a step | open at its beginning), shape (rows, steps).

        Parameters
        ----------
        landmarks
            Open contracts, see :func:`stagecast.training.cancellation.landmarks.current`.
        columns
            Name -> values at the landmarks, shape (rows,); must contain those of the training,
            others are ignored.
        threads
            Threads of the trees; 0 uses all cores.

        Raises
        ------
        UsageError
            A column of the training is missing, or has another length.
        """
        return np.asarray(-np.expm1(-self.step_hazards(landmarks, columns, threads)))

    def step_hazards(
        self, landmarks: Landmarks, columns: Mapping[str, Array] | None, threads: int = 0
    ) -> Array:
        """Return the cumulative hazard of each step, shape (rows, steps).

        The parameters are those of :meth:`hazards`.
        """
        values = check_columns(columns or {}, self.columns, len(landmarks))
        if not len(landmarks):
            return np.zeros((0, self.steps))
        result = np.empty((len(landmarks), self.steps))
        rows = np.arange(len(landmarks))
        for k in range(self.steps):
            ahead = np.full(len(landmarks), k, dtype=np.int64)
            at_step = step_columns(
                landmarks,
                values,
                rows,
                ahead,
                self.step_days,
                season=self.season,
                billing=self.billing,
            )
            result[:, k] = np.logaddexp(0.0, self.pool.margin(at_step, threads))
        part = self.horizon_days % self.step_days
        if part and not self.billing.is_none:
            share = self._share_before_the_end(landmarks, at_step, part)
            result[:, -1] *= share * (self.step_days / part)  # of which only the part counts
        if self.level != 0.0:
            result = result * np.exp(self.level)
        return result if self.end_day is None else result * self._by_day(landmarks, self.end_day)

    def _share_before_the_end(
        self, landmarks: Landmarks, at_step: Mapping[str, Array], days: int
    ) -> Array:
        """Return the share of the hazard of the last step in its days within the horizon, (rows,).

        It is that of the renewals, where they are known: one that falls due after the horizon must
        not count as a part of one within it.
        """
        rows = np.arange(len(landmarks))
        within = renewals_within(
            landmarks, at_step, rows, at_step["ahead_days"], days, self.billing
        )
        share = np.exp(within - at_step[RENEWAL_HAZARD])
        return np.where(np.isfinite(share), share, days / self.step_days)

    def _by_day(self, landmarks: Landmarks, end_day: EndDay) -> Array:
        """Return the hazard of steps over that of one with the day on which contracts end.

        Shape (rows, steps).
        """
        step = self.step_days * DAY_MICROSECONDS
        begin = landmarks.at[:, None] + step * np.arange(self.steps)
        return end_day.factor(begin, begin + step)

    def survival(
        self,
        landmarks: Landmarks,
        days: Array | float,
        columns: Mapping[str, Array] | None = None,
        threads: int = 0,
    ) -> Array:
        """Return P(not cancelled within ``days``), shape (rows,).

        Parameters
        ----------
        landmarks, columns, threads
            See :meth:`hazards`.
        days
            0 or more, also beyond the horizon; a number, or shape (rows,).

        Raises
        ------
        UsageError
            ``days`` is below 0 or not finite; and as :meth:`hazards`.
        """
        days_of_rows = np.broadcast_to(np.asarray(days, dtype=np.float64), (len(landmarks),))
        if not (np.isfinite(days_of_rows) & (days_of_rows >= 0)).all():
            raise UsageError(f"days = {days} must be finite and 0 or more")
        return np.exp(
            -self._cumulative_hazard(
                landmarks, self.step_hazards(landmarks, columns, threads), days_of_rows
            )
        )

    def _cumulative_hazard(self, landmarks: Landmarks, step_hazards: Array, days: Array) -> Array:
        """Return the cumulative hazard over ``days``, shape (rows,)."""
        step, horizon = self.step_days, self.horizon_days
        starts = np.arange(self.steps) * step
        fractions = np.clip((np.minimum(days, horizon)[:, None] - starts) / step, 0.0, 1.0)
        within = (step_hazards * fractions).sum(axis=1)
        beyond = np.maximum(days - horizon, 0.0)
        return np.asarray(
            within
            + self._relative_hazard(landmarks, step_hazards)
            * self.ages.ahead(landmarks.age_days + horizon, beyond)
        )

    def _relative_hazard(self, landmarks: Landmarks, step_hazards: Array) -> Array:
        """Return the ratio of the hazard over the horizon to that by age, shape (rows,)."""
        fractions = np.clip(
            (self.horizon_days - np.arange(self.steps) * self.step_days) / self.step_days, 0.0, 1.0
        )
        if self.end_day is not None:  # that of days on which contracts may end or not
            by_day = self._by_day(landmarks, self.end_day)
            step_hazards = step_hazards / by_day * share_of_month(self.step_days)
        by_age = self.ages.ahead(landmarks.age_days, float(self.horizon_days))
        if self.unannounced is not None:  # beyond the horizon no end is known yet
            by_age = by_age * self.unannounced.within(float(self.horizon_days))
        return np.asarray((step_hazards @ fractions) / by_age)

    def probability(
        self,
        landmarks: Landmarks,
        columns: Mapping[str, Array] | None = None,
        days: Array | float | None = None,
        threads: int = 0,
    ) -> Array:
        """Return P(a cancellation within ``[as_of, as_of + days)``), shape (rows,), in (0, 1).

        Parameters
        ----------
        landmarks, columns, threads
            See :meth:`hazards`.
        days
            As of :meth:`survival`; None means the horizon of the training.

        Raises
        ------
        UsageError
            As :meth:`survival`.
        """
        p_open = self.survival(
            landmarks, float(self.horizon_days) if days is None else days, columns, threads
        )
        # from n contracts, a probability above (n + 1) / (n + 2) cannot be supported
        return np.clip(1.0 - p_open, _SMALLEST, (self.spells + 1) / (self.spells + 2))

    def median_days(
        self, landmarks: Landmarks, columns: Mapping[str, Array] | None = None, threads: int = 0
    ) -> Array:
        """Return the median days until a cancellation, shape (rows,); NaN beyond five years."""
        step_hazards = self.step_hazards(landmarks, columns, threads)
        half = np.log(2.0)
        ends = np.minimum(np.arange(1, self.steps + 1) * self.step_days, self.horizon_days).astype(
            np.float64
        )
        starts = np.arange(self.steps) * float(self.step_days)
        cumulative_hazard = np.cumsum(step_hazards * ((ends - starts) / self.step_days), axis=1)
        step = np.minimum((cumulative_hazard < half).sum(axis=1), self.steps - 1)
        rows = np.arange(len(landmarks))
        before = np.where(step > 0, cumulative_hazard[rows, np.maximum(step - 1, 0)], 0.0)
        within = (
            starts[step]
            + (half - before) / np.maximum(step_hazards[rows, step], 1e-300) * self.step_days
        )
        age_at_horizon = landmarks.age_days + self.horizon_days
        remaining = (half - cumulative_hazard[:, -1]) / np.maximum(
            self._relative_hazard(landmarks, step_hazards), 1e-300
        )
        beyond = (
            self.horizon_days
            + self.ages.age_at(self.ages.cumulative(age_at_horizon) + np.maximum(remaining, 0.0))
            - age_at_horizon
        )
        days = np.where(cumulative_hazard[:, -1] >= half, within, beyond)
        return np.where(days <= LATEST_DAYS, days, np.nan)

    def to_json(self) -> dict[str, Any]:
        """Return the model as plain data; the trees are LightGBM's text."""
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
            **({} if self.billing.is_none else {"billing": self.billing.to_json()}),
            **({} if self.level == 0.0 else {"level": self.level}),
            **({} if self.end_day is None else {"end_day": self.end_day.to_json()}),
            **({} if self.unannounced is None else {"unannounced": self.unannounced.to_json()}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CancellationModel:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        DataRefusedError
            A key is missing or unknown, or a value is invalid.
        """
        try:
            return _read(data)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise DataRefusedError(
                f"not a model of cancellations ({error!r}); train it again"
            ) from error


def _read(data: Mapping[str, Any]) -> CancellationModel:
    expected = set(CancellationModel.__dataclass_fields__)
    if mismatched := sorted(expected ^ {*data, *OPTIONAL}):
        raise ValueError(f"lacks, or should not have, {', '.join(mismatched)}")
    glm, trees = data["glm"], data["trees"]
    if data["method"] not in METHODS:
        raise ValueError(f"method is {data['method']!r}")
    for name in ("horizon_days", "spells", "cancellations"):
        if type(data[name]) is not int or data[name] < (name == "horizon_days"):
            raise ValueError(f"{name} is {data[name]!r}")
    if type(data["season"]) is not bool or not all(type(name) is str for name in data["columns"]):
        raise ValueError("season is no truth value, or a name of a column no text")
    weights = {str(name): float(weight) for name, weight in data["weights"].items()}
    members = (
        {"ages"}
        | ({"glm"} if glm is not None else set())
        | ({"trees"} if trees is not None else set())
    )
    if not weights or not set(weights) <= members or not members - set(weights) <= {"ages"}:
        raise ValueError(f"the weights are of {sorted(weights)}, the members {sorted(members)}")
    if min(weights.values()) < 0 or abs(sum(weights.values()) - 1.0) > 1e-9:
        raise ValueError("the weights do not sum to 1")
    level = float(data.get("level", 0.0))
    if not np.isfinite(level):
        raise ValueError(f"level is {level}")
    known = {*OWN_COLUMNS, *(SEASON_COLUMNS if data["season"] else ()), *data["columns"]}
    billing = NO_PERIODS if "billing" not in data else BillingPeriods.from_json(data["billing"])
    if not billing.is_none:
        known.add(RENEWAL_HAZARD)
    boosted = None
    if trees is not None:
        boosted = Boosted.read(
            str(trees["text"]), [str(name) for name in trees["columns"]]
        ).loaded()
        if set(trees) != {"text", "columns"} or boosted.names_in_text() != boosted.columns:
            raise ValueError("the columns of the trees are not those of their text")
    regression = None if glm is None else GroupedHazards.from_json(glm)
    used = {
        *(boosted.columns if boosted else ()),
        *(term.column for term in (regression.design.terms if regression else ())),
    }
    if unknown := sorted(used - known):
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
        billing,
        level,
        EndDay.from_json(data["end_day"]) if data.get("end_day") else None,
        Unannounced.from_json(data["unannounced"]) if data.get("unannounced") else None,
    )
