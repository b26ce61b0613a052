"""Fitting of the cancellation model on the spells of a log: method, members and weights.

    spells -> past landmarks with their columns -> steps -> hazards -> pool

With fewer than 10 cancellations there is one rate for all, with fewer than 30 a rate by age. With
more, a regression and boosted trees use the columns, too; their weights, and that of the rate by
age, are learned on a later window than they were fitted on. The level of the pool today is drawn
towards that of the rate by age, which a whole log has taught: a season or a trend that a few
cancellations show is mostly chance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells
from stagecast.features.errors import UsageError
from stagecast.training.billing.periods import NO_PERIODS, BillingPeriods
from stagecast.training.billing.standing import RENEWAL_HAZARD
from stagecast.training.cancellation.cloglog import GroupedHazards
from stagecast.training.cancellation.columns import (
    OWN_COLUMNS,
    SEASON_COLUMNS,
    SEASON_DAYS,
    check_columns,
    step_columns,
)
from stagecast.training.cancellation.end_days import end_day
from stagecast.training.cancellation.fit_ages import fit_ages
from stagecast.training.cancellation.fit_hazards import fit_grouped
from stagecast.training.cancellation.fit_unannounced import fit_unannounced
from stagecast.training.cancellation.landmarks import Landmarks, Steps, step_days, steps_of
from stagecast.training.cancellation.model import (
    FEWEST_BY_AGE,
    FEWEST_TO_LEARN,
    MEMBERS,
    CancellationModel,
)
from stagecast.training.learners import blend, boosting
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.design import Recipe

TREES = 150
PENALTY = 5.0
RECIPE = Recipe(
    {
        "recency_days": (True, 4),
        "silence_days": (True, 4),
        "frequency": (True, 3),
        "activity": (True, 3),
        "activity_30d": (True, 0),
        "activity_90d": (True, 0),
        "orders_90d": (True, 0),
        "orders_365d": (True, 0),
        "spend_mean": (True, 0),
    }
)
"""Columns of the regression, as far as the caller has them; the trees use all columns."""

CHANCE = 100.0
"""Cancellations of a log in which the level of today, by columns, tells as much as all of it; with
a few hundred it is left alone, because the rate by age does not know who is there today."""

LONGER_THAN_A_MONTH = 62.0
"""Days that hold each day of the month, and some before and after it."""

PRIOR_WEIGHTS = {"ages": 0.0, "glm": 0.5, "trees": 0.5}
"""Weights of the members before they are learned. The other two contain the age: the life table
alone gets a weight only where a later window shows that the columns mislead.
"""

_OWN: dict[str, tuple[bool, int]] = {
    "age_days": (True, 5),
    "ahead_days": (False, 0),
    "earlier_spells": (True, 0),
}
# Members with a smaller weight are left out.
_MIN_WEIGHT = 1e-4


def fit_cancellation(
    spells: Spells,
    horizon_days: int,
    landmarks: Landmarks | None = None,
    columns: Mapping[str, Array] | None = None,
    *,
    seed: int,
    recipe: Recipe = RECIPE,
    billing: BillingPeriods = NO_PERIODS,
    by_end_day: bool = False,
) -> CancellationModel:
    """Fit the model on everything known before the as_of of the spells.

    Parameters
    ----------
    spells
        All contracts, with their as_of.
    horizon_days
        Horizon of P(cancelled), 1 to 3650 days.
    landmarks
        Result of :func:`stagecast.training.cancellation.landmarks.past`; None uses only the age of
        the contracts.
    columns
        Name -> values at the landmarks, shape (n_landmarks,); null is NaN. The names in
        :data:`~stagecast.training.cancellation.columns.OWN_COLUMNS` are reserved.
    seed
        Seed of the trees; the same seed gives the same model, byte for byte.
    recipe
        Columns of the regression.
    billing
        The billing periods of the log; their renewals are a column.
    by_end_day
        Whether contracts may all end on one day of the month, see :func:`end_day`.

    Raises
    ------
    UsageError
        The horizon is out of range; columns without landmarks, of a wrong length, or with a
        reserved name.
    """
    if not 1 <= horizon_days <= 3650:
        raise UsageError(f"horizon_days = {horizon_days} must be between 1 and 3650 days")
    checked = _checked_columns(columns or {}, landmarks)
    varying = {name: values for name, values in checked.items() if _varies(values)}
    cancellations = spells.cancellations
    by_age = cancellations >= FEWEST_BY_AGE
    ends_on = end_day(spells) if by_end_day else None
    ages = fit_ages(spells, horizon_days, by_age=by_age)
    simple = CancellationModel(
        "ages" if by_age else "share",
        horizon_days,
        {"ages": 1.0},
        ages,
        None,
        None,
        (),
        False,
        len(spells),
        cancellations,
        end_day=ends_on,
        unannounced=fit_unannounced(spells, horizon_days),
    )
    if cancellations < FEWEST_TO_LEARN or landmarks is None or not len(landmarks):
        return simple
    steps = with_end_day(steps_of(spells, landmarks, horizon_days), landmarks, simple)
    if not has_enough(landmarks, steps):
        return simple
    season = spells.history_days >= SEASON_DAYS
    varying |= {name: checked[name] for name in billing.columns if name in checked}
    task = _Task(horizon_days, landmarks, varying, season, recipe, seed, billing, simple)
    used = {name: weight for name, weight in task.weights(spells).items() if weight > _MIN_WEIGHT}
    total = sum(used.values())
    glm, trees = task.members(simple, steps, used)
    pool = replace(
        simple,
        method="pool",
        weights={name: weight / total for name, weight in used.items()},
        glm=glm,
        trees=trees,
        columns=tuple(varying),
        season=season,
        billing=billing,
    )
    return replace(pool, level=_level(pool, landmarks, checked))


def _level(model: CancellationModel, landmarks: Landmarks, columns: Mapping[str, Array]) -> float:
    """Return the logarithm of the factor that draws the level of the newest date to the log's.

    The level of the log is that of the rate by age, or of the renewals of billing periods.
    """
    rows = np.flatnonzero(landmarks.back == landmarks.back.min())
    newest, values = landmarks.of(rows), {name: columns[name][rows] for name in model.columns}
    of_log = replace(model, weights={"ages": 1.0}, glm=None, trees=None)
    today, usual = (
        float(newest.weight @ each.step_hazards(newest, values).sum(axis=1))
        for each in (model, of_log)
    )
    of_chance = 1.0 / (1.0 + (model.cancellations / CHANCE) ** 2)
    return of_chance * float(np.log(usual / today))


def _checked_columns(columns: Mapping[str, Array], landmarks: Landmarks | None) -> dict[str, Array]:
    """Return the columns, sorted by name, so that their order has no influence."""
    if columns and landmarks is None:
        raise UsageError(
            "columns are given without the landmarks that their rows belong to; give both"
        )
    if reserved := sorted(set(columns) & {*OWN_COLUMNS, *SEASON_COLUMNS}):
        raise UsageError(
            f"the column '{reserved[0]}' has a name that the model needs itself; give it another"
        )
    rows = 0 if landmarks is None else len(landmarks)
    return check_columns(columns, tuple(sorted(columns)), rows)


def _varies(values: Array) -> bool:
    finite = values[np.isfinite(values)]
    return len(finite) > 0 and float(np.ptp(finite)) > 1e-12


def with_end_day(steps: Steps, landmarks: Landmarks, model: CancellationModel) -> Steps:
    """Return the steps that hold the day of the month on which contracts end, if they do.

    In the others nobody can leave, and they tell nothing of those who may.
    """
    if model.end_day is None:
        return steps
    step = model.step_days * DAY_MICROSECONDS
    begin = landmarks.at[steps.row] + steps.ahead * step
    rows = np.flatnonzero(model.end_day.count(begin, begin + step) > 0)
    return Steps(steps.row[rows], steps.ahead[rows], steps.cancelled[rows])


def has_enough(landmarks: Landmarks, steps: Steps) -> bool:
    """Return whether enough contracts were cancelled in a step, and not in all steps."""
    cancelled = len(np.unique(landmarks.spell[steps.row[steps.cancelled]]))
    return cancelled >= FEWEST_TO_LEARN and not bool(steps.cancelled.all())


@dataclass(frozen=True)
class _Task:
    """Data and settings shared by all fits of one training."""

    horizon_days: int
    landmarks: Landmarks
    columns: Mapping[str, Array]
    season: bool
    recipe: Recipe
    seed: int
    billing: BillingPeriods
    simple: CancellationModel

    def columns_at(self, steps: Steps) -> dict[str, Array]:
        """Return the columns of the steps."""
        step = step_days(self.horizon_days)
        return step_columns(
            self.landmarks,
            self.columns,
            steps.row,
            steps.ahead,
            step,
            season=self.season,
            billing=self.billing,
        )

    def members(
        self, simple: CancellationModel, steps: Steps, names: Collection[str]
    ) -> tuple[GroupedHazards | None, Boosted | None]:
        """Return regression and trees fitted on these steps, as far as ``names`` has them.

        The trees start from the model by age alone.
        """
        columns, weight = self.columns_at(steps), self.landmarks.weight[steps.row]
        glm = trees = None
        if "glm" in names:
            terms = {
                **_OWN,
                RENEWAL_HAZARD: (False, 0),
                **dict.fromkeys(SEASON_COLUMNS, (False, 0)),
                **self.recipe.columns,
            }
            recipe = Recipe({name: term for name, term in terms.items() if name in columns})
            glm = fit_grouped(recipe, columns, steps.cancelled, weight, PENALTY)
        if "trees" in names:
            trees = boosting.fit(
                columns,
                list(columns),
                steps.cancelled.astype(np.float64),
                weight,
                "binary",
                trees=TREES,
                seed=self.seed,
                start=simple.age_odds.margin(columns),
            )
        return glm, trees

    def weights(self, spells: Spells) -> dict[str, float]:
        """Return the weights of the members, learned from steps after a date.

        For that the members are fitted once more, on the steps that ended before the date; with too
        few of these, the weights are those of the prior.
        """
        backs = self.landmarks.backs
        # in a young log, two thirds of the history remain for the fit
        target = min(float(self.horizon_days), spells.history_days / 3)
        if self.simple.end_day is not None:  # a month holds the day on which contracts end
            target = max(target, min(LONGER_THAN_A_MONTH, spells.history_days / 3))
        back = min(backs, key=lambda candidate: (abs(candidate - target), candidate))
        split = spells.as_of - back * DAY_MICROSECONDS
        before, after = (
            with_end_day(steps, self.landmarks, self.simple)
            for steps in (
                steps_of(spells, self.landmarks, self.horizon_days, until=split),
                steps_of(spells, self.landmarks, self.horizon_days, since=split),
            )
        )
        if not has_enough(self.landmarks, before) or not after.cancelled.any():
            return PRIOR_WEIGHTS
        known = spells.before(split)
        simple = replace(
            self.simple,
            ages=fit_ages(known, self.horizon_days),
            unannounced=fit_unannounced(known, self.horizon_days),
        )
        glm, trees = self.members(simple, before, MEMBERS)
        trial = replace(
            simple,
            method="pool",
            weights=PRIOR_WEIGHTS,
            glm=glm,
            trees=trees,
            columns=tuple(self.columns),
            season=self.season,
            billing=self.billing,
        )
        margins = trial.pool.margins(self.columns_at(after))
        # the rows are a sample by outcome and get equal weights here: that shifts the level of the
        # log odds, which the same shift for all members corrects
        shift = blend.level_shift(np.mean(list(margins.values()), axis=0), after.cancelled)
        return blend.pool_weights(
            {name: margin + shift for name, margin in margins.items()},
            after.cancelled,
            PRIOR_WEIGHTS,
        )
