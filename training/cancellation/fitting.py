"""The model of cancellations fitted on the spells of a log: which rung of the ladder, the members,
their weights.

    spells -> past landmarks (and what the caller knew at each) -> steps -> hazards -> pool

With fewer than 10 cancellations there is one rate for all, with fewer than 30 a rate by age. With
more, a regression and boosted trees look at the columns, too, and are weighted on a later window
than they were fitted on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells
from stagecast.features.errors import UsageError
from stagecast.training.cancellation.ages import AgeHazard
from stagecast.training.cancellation.cloglog import GroupedHazards
from stagecast.training.cancellation.columns import (
    OWN_COLUMNS,
    SEASON_COLUMNS,
    SEASON_DAYS,
    check_columns,
    log_odds,
    step_columns,
)
from stagecast.training.cancellation.fit_ages import fit_ages
from stagecast.training.cancellation.fit_hazards import fit_grouped
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
"""How columns of the caller enter the regression, where they are there; the trees hear all
columns.
"""

_OWN: dict[str, tuple[bool, int]] = {
    "age_days": (True, 5),
    "ahead_days": (False, 0),
    "earlier_spells": (True, 0),
}
# A weight below this is not worth keeping a member for.
_SILENT = 1e-4


def fit_cancellation(
    spells: Spells,
    horizon_days: int,
    landmarks: Landmarks | None = None,
    columns: Mapping[str, Array] | None = None,
    *,
    seed: int,
    recipe: Recipe = RECIPE,
) -> CancellationModel:
    """Fit on everything known before the as_of of the spells.

    Parameters
    ----------
    spells
        With their as_of.
    horizon_days
        What P(cancelled) is wanted for, days; 1 to 3650.
    landmarks
        Of :func:`stagecast.training.cancellation.landmarks.past`; None: the age of the contracts
        alone is learned from.
    columns
        Name -> one value per row of the landmarks, known then; null is NaN. Not of the names in
        :data:`~stagecast.training.cancellation.columns.OWN_COLUMNS`.
    seed
        The same gives the same model, byte for byte.
    recipe
        How columns enter the regression.

    Raises
    ------
    UsageError
        A horizon that cannot be; columns without landmarks, of a wrong length, or of a name that is
        taken.
    """
    if not 1 <= horizon_days <= 3650:
        raise UsageError(f"horizon_days = {horizon_days} must be between 1 and 3650 days")
    given = _checked(columns or {}, landmarks)
    found = spells.cancellations
    by_age = found >= FEWEST_BY_AGE
    ages = fit_ages(spells, horizon_days, by_age=by_age)
    plain = CancellationModel(
        "ages" if by_age else "share",
        horizon_days,
        {"ages": 1.0},
        ages,
        None,
        None,
        (),
        False,
        len(spells),
        found,
    )
    if found < FEWEST_TO_LEARN or landmarks is None or not len(landmarks):
        return plain
    steps = steps_of(spells, landmarks, horizon_days)
    if not _enough(landmarks, steps):
        return plain
    season = spells.history_days >= SEASON_DAYS
    task = _Task(horizon_days, landmarks, given, season, recipe, seed)
    speaking = {name: weight for name, weight in task.weights(spells).items() if weight > _SILENT}
    total = sum(speaking.values())
    glm, trees = task.members(ages, steps, speaking)
    return replace(
        plain,
        method="pool",
        weights={name: weight / total for name, weight in speaking.items()},
        glm=glm,
        trees=trees,
        columns=tuple(given),
        season=season,
    )


def _checked(columns: Mapping[str, Array], landmarks: Landmarks | None) -> dict[str, Array]:
    """Return the columns that vary, in order of their names so that the order they came in
    changes nothing.
    """
    if columns and landmarks is None:
        raise UsageError(
            "columns are given without the landmarks that their rows belong to; give both"
        )
    if taken := sorted(set(columns) & {*OWN_COLUMNS, *SEASON_COLUMNS}):
        raise UsageError(
            f"the column '{taken[0]}' has a name that the model needs itself; give it another"
        )
    rows = 0 if landmarks is None else len(landmarks)
    found = check_columns(columns, tuple(sorted(columns)), rows)
    return {name: values for name, values in found.items() if _varies(values)}


def _varies(values: Array) -> bool:
    seen = values[np.isfinite(values)]
    return len(seen) > 0 and float(np.ptp(seen)) > 1e-12


def _enough(landmarks: Landmarks, steps: Steps) -> bool:
    """Tell whether there is anything to learn: contracts enough that were cancelled in a step,
    and steps without.
    """
    cancelled = len(np.unique(landmarks.spell[steps.row[steps.cancelled]]))
    return cancelled >= FEWEST_TO_LEARN and not bool(steps.cancelled.all())


@dataclass(frozen=True)
class _Task:
    """What is the same in every fit of one training."""

    horizon_days: int
    landmarks: Landmarks
    given: Mapping[str, Array]
    season: bool
    recipe: Recipe
    seed: int

    def seen(self, steps: Steps) -> dict[str, Array]:
        step = step_days(self.horizon_days)
        return step_columns(
            self.landmarks, self.given, steps.row, steps.ahead, step, season=self.season
        )

    def members(
        self, ages: AgeHazard, steps: Steps, names: Collection[str]
    ) -> tuple[GroupedHazards | None, Boosted | None]:
        """Fit the members named on these steps; the trees go on from the hazard by age."""
        seen, weight = self.seen(steps), self.landmarks.weight[steps.row]
        glm = trees = None
        if "glm" in names:
            terms = {**_OWN, **dict.fromkeys(SEASON_COLUMNS, (False, 0)), **self.recipe.columns}
            chosen = Recipe({name: how for name, how in terms.items() if name in seen})
            glm = fit_grouped(chosen, seen, steps.cancelled, weight, PENALTY)
        if "trees" in names:
            trees = boosting.fit(
                seen,
                list(seen),
                steps.cancelled.astype(np.float64),
                weight,
                "binary",
                trees=TREES,
                seed=self.seed,
                start=log_odds(ages.ahead(seen["age_days"], float(step_days(self.horizon_days)))),
            )
        return glm, trees

    def weights(self, spells: Spells) -> dict[str, float]:
        """Return the weights that pool the members best at a date whose horizon they were not
        fitted on.

        The members are fitted once more on what was over at that date; where this is too little,
        they count alike.
        """
        backs = self.landmarks.backs
        # a young log leaves two thirds of itself to the fit
        wanted = min(float(self.horizon_days), spells.history_days / 3)
        back = min(backs, key=lambda one: (abs(one - wanted), one))
        cut = spells.as_of - back * DAY_MICROSECONDS
        equal = dict.fromkeys(MEMBERS, 1.0 / len(MEMBERS))
        then = steps_of(spells, self.landmarks, self.horizon_days, until=cut)
        after = steps_of(spells, self.landmarks, self.horizon_days, since=cut)
        if not _enough(self.landmarks, then) or not after.cancelled.any():
            return equal
        ages = fit_ages(spells.before(cut), self.horizon_days)
        glm, trees = self.members(ages, then, MEMBERS)
        trial = CancellationModel(
            "pool", self.horizon_days, equal, ages, glm, trees, tuple(self.given), self.season, 0, 0
        )
        margins = trial.pool.margins(self.seen(after))
        # rows drawn for their outcome count alike: that moves the level of the log odds, which is
        # put back for all
        shift = blend.level_shift(np.mean(list(margins.values()), axis=0), after.cancelled)
        return blend.pool_weights(
            {name: margin + shift for name, margin in margins.items()}, after.cancelled
        )
