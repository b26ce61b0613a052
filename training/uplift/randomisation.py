"""Whether contacts look as if they had been drawn at random with the propensities stated.

Three looks: is the share of the contacted what the propensities say; does any feature differ
between the arms; can a model tell from all features who was contacted. Rows are weighted by their
inverse propensity, so that a draw with different propensities passes, too.

Source: Austin (2009), "Balance diagnostics for comparing the distribution of baseline covariates
between treatment groups in propensity-score matched samples" (standardised differences); Gagnon-
Bartsch and Shem-Tov (2019), "The classification permutation test" (a classifier as the test).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, logit, ndtr

from stagecast.features.arrays import Array
from stagecast.features.errors import DataRefusedError
from stagecast.training.learners.boosting import fit
from stagecast.training.uplift.curves import qini
from stagecast.training.uplift.estimate import Estimate, from_influence
from stagecast.training.uplift.folds import FOLDS, folds_of
from stagecast.training.uplift.model import named_columns
from stagecast.training.uplift.outcomes import FEWEST_OF_ARM
from stagecast.training.uplift.trial import Trial

UNLIKELY = 0.001
TREES = 40


@dataclass(frozen=True)
class RandomCheck:
    """How the arms compare before the contact.

    Parameters
    ----------
    expected_share, share
        Share of the contacted by the propensities, and in the trial.
    share_p
        P-value of their difference.
    auc
        Of a cross-fitted model that guesses from the features who was contacted; .5 if it cannot.
        None where an arm has too few customers for a model.
    auc_p
        One-sided p-value of an AUC above .5.
    differences
        Standardised mean difference by feature: contacted less alone, in standard deviations.
    difference_p
        Smallest p-value of these, times their number (Bonferroni).
    """

    expected_share: float
    share: float
    share_p: float
    auc: Estimate | None
    auc_p: float
    differences: dict[str, Estimate]
    difference_p: float

    @property
    def passed(self) -> bool:
        """Whether none of the three looks is a one-in-a-thousand accident.

        A small trial passes easily: this can show that contacts were not drawn at random, and
        cannot show that they were.
        """
        return min(self.share_p, self.auc_p, self.difference_p) >= UNLIKELY

    @property
    def sentence(self) -> str:
        """What the check says, in words."""
        if self.passed:
            return "The contacts look as if they had been drawn at random."
        parts = []
        if self.share_p < UNLIKELY:
            parts.append(
                f"{self.share:.1%} were contacted where the propensities say "
                f"{self.expected_share:.1%}"
            )
        if self.auc is not None and self.auc_p < UNLIKELY:
            parts.append(
                f"the features tell who was contacted (AUC {self.auc.value:.3f}, .5 if drawn at "
                "random)"
            )
        if self.difference_p < UNLIKELY:
            name, difference = max(self.differences.items(), key=lambda item: abs(_z(item[1])))
            parts.append(
                f"'{name}' of the contacted is {difference.value:+.2f} standard deviations from "
                "that of the others"
            )
        return f"The contacts were not drawn as stated: {'; '.join(parts)}."


def check_random(trial: Trial, *, folds: int = FOLDS, seed: int = 0) -> RandomCheck:
    """Compare the arms before the contact.

    Parameters
    ----------
    trial
        The contacts; outcomes are not looked at.
    folds, seed
        Of the model that guesses who was contacted.
    """
    w, e = trial.contacted, trial.propensity
    share = from_influence(float((w - e).mean()), w - e, trial.customer)
    # the variance is known where the draw is as stated, and does not vanish in a small trial
    sd = math.sqrt(float((e * (1 - e)).sum())) / len(trial)
    auc = _auc(trial, folds, seed)
    differences = {name: _difference(trial, trial.X[:, k]) for k, name in enumerate(trial.names)}
    p_values = [_two_sided(_z(d)) for d in differences.values()]
    return RandomCheck(
        float(e.mean()),
        float(w.mean()),
        _two_sided(share.value / sd),
        auc,
        1.0 if auc is None else float(ndtr(-_z(Estimate(auc.value - 0.5, auc.standard_error)))),
        differences,
        min(1.0, len(p_values) * min(p_values, default=1.0)),
    )


def require_random(check: RandomCheck, *, even_if_not: bool = False) -> None:
    """Refuse contacts that were not drawn at random.

    Parameters
    ----------
    check
        Of :func:`check_random`.
    even_if_not
        True where the caller knows better, such as where propensities depend on a feature that was
        recorded after the draw.

    Raises
    ------
    DataRefusedError
        The check did not pass.
    """
    if not check.passed and not even_if_not:
        raise DataRefusedError(
            f"{check.sentence} A comparison of the arms would show who was chosen, not what a "
            "contact changes. State the propensity of each customer by which they were drawn, "
            "leave out contacts that were chosen by hand, or draw a random hold-out with the next "
            "plan"
        )


def _auc(trial: Trial, folds: int, seed: int) -> Estimate | None:
    if min(int(trial.contacted.sum()), int((~trial.contacted).sum())) < FEWEST_OF_ARM:
        return None
    fold = folds_of(trial, folds, seed)
    score = np.empty(len(trial))
    start = logit(trial.propensity)
    for k in range(folds):
        rows = fold != k
        columns = named_columns(trial.X[rows])
        trees = fit(
            columns,
            list(columns),
            trial.contacted[rows].astype(np.float64),
            np.ones(int(rows.sum())),
            "binary",
            trees=TREES,
            seed=seed,
            start=start[rows],
        )
        raw = trees.raw(named_columns(trial.X[fold == k]))
        # only the order within a fold is comparable: each fold's model has a level of its own
        score[fold == k] = raw - raw.mean()
    w, e = trial.contacted, trial.propensity
    # with an outcome of 1 for all, the Qini of inverse propensities is the AUC less .5
    area = qini(w / e - ~w / (1 - e), score, trial.customer)
    return Estimate(0.5 + area.value, area.standard_error)


def _difference(trial: Trial, column: Array) -> Estimate:
    known = ~np.isnan(column)
    if not known.any() or np.ptp(column[known]) == 0:
        return Estimate(0.0, 0.0)
    z = np.where(known, (column - column[known].mean()) / column[known].std(), 0.0)
    w, e = trial.contacted, trial.propensity
    values = z * (w / e - ~w / (1 - e))
    return from_influence(float(values.mean()), values, trial.customer)


def _z(estimate: Estimate) -> float:
    return estimate.value / estimate.standard_error if estimate.standard_error > 0 else 0.0


def _two_sided(z: float) -> float:
    return float(2 * np.exp(log_ndtr(-abs(z))))
