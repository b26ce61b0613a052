"""Baselines of contracts to beat: simple estimates of P(cancelled).

Each gives P(cancelled within ``[as_of, as_of + horizon)``) of the contracts open at the as_of and
is fitted on the same past as the model. A contract that is cancelled at an instant is still at risk
at it, so curves are evaluated just before an age.

Sources: Kaplan and Meier (1958), "Nonparametric estimation from incomplete observations", Journal
of the American Statistical Association 53; Cox (1972), "Regression models and life-tables", Journal
of the Royal Statistical Society B 34, by lifelines.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells
from stagecast.features.survival import survival
from stagecast.training.cancellation.landmarks import Landmarks, cancelled_within

Flags = NDArray[np.bool_]

LABELS = {
    "base_rate": "base rate",
    "recency": "recency rule",
    "kaplan_meier": "Kaplan-Meier by age",
    "cox": "Cox regression",
}
QUICK = ("base_rate", "recency", "kaplan_meier")
"""The fast ones."""

RECENCY = ("recency_days", "silence_days")
RECENCY_GROUPS = 10
FEWEST = 10
"""Cancellations below which no curve is fitted."""

# Days by which a cancellation is later than the instant at which the contract is still at risk.
_AFTER = 1e-6
_PENALTY = 0.01


def fit_and_predict(
    spells: Spells,
    horizon_days: int,
    landmarks: Landmarks,
    now: Landmarks,
    past_columns: Mapping[str, Array] | None = None,
    columns: Mapping[str, Array] | None = None,
    names: Sequence[str] = tuple(LABELS),
) -> dict[str, Array]:
    """Return each baseline's P(cancelled in the horizon) of the contracts open at the as_of.

    A baseline that cannot be fitted is left out.

    Parameters
    ----------
    landmarks, now
        Of :func:`stagecast.training.cancellation.landmarks.past` and
        :func:`~stagecast.training.cancellation.landmarks.current`.
    past_columns, columns
        Name -> one value per row of ``landmarks``, and of ``now``.
    names
        Keys of :data:`LABELS`.
    """
    past_columns, columns = past_columns or {}, columns or {}
    predictions = {"base_rate": np.full(len(now), base_rate(spells, horizon_days, landmarks))}
    newest = _complete(spells, horizon_days, landmarks)
    for name in RECENCY:
        if name in past_columns and name in columns and newest.any():
            cancelled = cancelled_within(spells, landmarks, horizon_days)
            predictions["recency"] = _by_tenths(
                past_columns[name][newest], cancelled[newest], columns[name]
            )
            break
    if spells.cancellations >= FEWEST:
        predictions["kaplan_meier"] = kaplan_meier(spells, now.age_days, horizon_days)
        if len(landmarks) and "cox" in names:
            cox = cox_regression(spells, horizon_days, landmarks, now, past_columns, columns)
            if cox is not None:
                predictions["cox"] = cox
    return {name: p for name, p in predictions.items() if name in names}


def base_rate(spells: Spells, horizon_days: int, landmarks: Landmarks) -> float:
    """Return the smoothed share cancelled after the newest past date whose horizon is over."""
    newest = _complete(spells, horizon_days, landmarks)
    weight = landmarks.weight[newest]
    cancelled = float((weight * cancelled_within(spells, landmarks, horizon_days)[newest]).sum())
    return (cancelled + 0.5) / (float(weight.sum()) + 2.0)


def kaplan_meier(spells: Spells, age_days: Array, horizon_days: float) -> Array:
    """Return ``1 - P(T >= age + horizon) / P(T >= age)`` by the product-limit estimate.

    It is smoothed by one contract that stays and one that is cancelled. An age less than a horizon
    before the longest observed contract gets the estimate of the last age that is a horizon before.

    Parameters
    ----------
    age_days
        Ages of the contracts, shape (n_contracts,).
    """
    cancelled = ~spells.open
    last = np.where(cancelled, spells.end, spells.as_of)
    duration_days = (last - spells.start) / DAY_MICROSECONDS + np.where(cancelled, _AFTER, 0.0)
    times, probability = survival(duration_days[cancelled], duration_days[~cancelled])
    curve = np.r_[1.0, probability]
    age = _observed_age(age_days, duration_days, horizon_days)

    def surviving(age: Array) -> Array:
        return np.asarray(curve[np.searchsorted(times, age, side="right")])

    stays = surviving(age + horizon_days) / np.maximum(surviving(age), 1e-12)
    at_risk = len(duration_days) - np.searchsorted(np.sort(duration_days), age, side="left")
    return np.asarray(1.0 - (stays * at_risk + 1.0) / (at_risk + 2.0))


def _observed_age(age_days: Array, duration_days: Array, horizon_days: float) -> Array:
    """Return the ages, at most a horizon less than the longest duration."""
    return np.minimum(age_days, max(float(duration_days.max(initial=0.0)) - horizon_days, 0.0))


def cox_regression(
    spells: Spells,
    horizon_days: int,
    landmarks: Landmarks,
    now: Landmarks,
    past_columns: Mapping[str, Array],
    columns: Mapping[str, Array],
) -> Array | None:
    """Return P(cancelled) by proportional hazards on the age, with late entry.

    None where it cannot be fitted. A contract enters at its age at a landmark, with what was known
    then, and leaves at the next landmark, its cancellation or the as_of, whichever is first. Nulls
    are replaced by the median of the column.
    """
    # the import takes two seconds, and only this baseline needs it
    import pandas as pd
    from lifelines import CoxPHFitter  # type: ignore[import-untyped]  # lifelines ships no types
    from lifelines.exceptions import ConvergenceError  # type: ignore[import-untyped]

    order = np.lexsort((landmarks.at, landmarks.spell))
    spell, at = landmarks.spell[order], landmarks.at[order]
    same = np.r_[spell[1:] == spell[:-1], False]
    following = np.where(same, np.r_[at[1:], 0], spells.as_of)
    cancelled = spells.end[spell] < following
    leave = spells.age_days(np.where(cancelled, spells.end[spell], following), spell) + np.where(
        cancelled, _AFTER, 0
    )
    frame = pd.DataFrame(
        {"enter": landmarks.age_days[order], "leave": leave, "cancelled": cancelled}
    )
    past_values = {"earlier_spells": landmarks.earlier_spells, **past_columns}
    now_values = {"earlier_spells": now.earlier_spells, **columns}
    names = []
    scaling: dict[str, tuple[float, float, float]] = {}
    for name in sorted(set(past_values) & set(now_values)):
        values = past_values[name][order]
        known = values[np.isfinite(values)]
        if len(known) and float(np.ptp(known)) > 1e-12:
            median = float(np.median(known))
            values = np.where(np.isfinite(values), values, median)
            scaling[name] = (median, float(values.mean()), float(values.std()))
            frame[name] = (values - values.mean()) / values.std()
            names.append(name)
    if not names or int(cancelled.sum()) < FEWEST:
        return None
    fitter = CoxPHFitter(penalizer=_PENALTY)
    try:
        with warnings.catch_warnings():
            # lifelines warns of bad convergence where a column separates nearly all; that is for
            # the comparison to show
            warnings.simplefilter("ignore")
            fitter.fit(frame, duration_col="leave", event_col="cancelled", entry_col="enter")
    except (ConvergenceError, ValueError, np.linalg.LinAlgError):
        return None
    coefficients = fitter.params_[names].to_numpy(dtype=np.float64)
    risk = np.exp(np.clip(frame[names].to_numpy(dtype=np.float64) @ coefficients, -20.0, 20.0))
    times, hazard = _breslow(frame["enter"].to_numpy(), leave, cancelled, risk)
    eta = np.zeros(len(now))
    for name, coefficient in zip(names, coefficients, strict=True):
        median, mean, scale = scaling[name]
        values = np.where(np.isfinite(now_values[name]), now_values[name], median)
        eta += coefficient * (values - mean) / scale
    age = _observed_age(now.age_days, leave, horizon_days)

    def cumulative(age: Array) -> Array:
        return np.asarray(hazard[np.searchsorted(times, age, side="right")])

    ahead = cumulative(age + horizon_days) - cumulative(age)
    return np.asarray(-np.expm1(-ahead * np.exp(np.clip(eta, -20.0, 20.0))))


def _breslow(enter: Array, leave: Array, cancelled: Flags, risk: Array) -> tuple[Array, Array]:
    """Return the ages of cancellations, and the cumulative hazard before the first and from each.

    lifelines estimates the coefficients under late entry, but its baseline counts every row as at
    risk from age 0.
    """
    times = np.unique(leave[cancelled])
    hits = np.bincount(np.searchsorted(times, leave[cancelled]), minlength=len(times))

    def at_least(age: Array) -> Array:
        """Return the risk of the rows whose age is at or after each of the times."""
        order = np.argsort(age)
        sums = np.r_[np.cumsum(risk[order][::-1])[::-1], 0.0]
        return np.asarray(sums[np.searchsorted(age[order], times, side="left")])

    at_risk = at_least(leave) - at_least(enter)
    return times, np.r_[0.0, np.cumsum(hits / at_risk)]


def _complete(spells: Spells, horizon_days: int, landmarks: Landmarks) -> Flags:
    """Return the rows of the newest past date whose horizon is over."""
    over = landmarks.back >= horizon_days
    return over & (landmarks.back == landmarks.back[over].min()) if over.any() else over


def _by_tenths(past: Array, cancelled: Flags, now: Array) -> Array:
    """Return the share cancelled in the horizon by tenths of days of silence, nulls apart."""
    known = np.isfinite(past)
    shares = np.linspace(0, 1, RECENCY_GROUPS + 1)[1:-1]
    cuts = np.unique(np.quantile(past[known], shares)) if known.any() else np.zeros(0)

    def groups(values: Array) -> NDArray[np.int64]:
        return np.where(np.isfinite(values), np.searchsorted(cuts, values), len(cuts) + 1).astype(
            np.int64
        )

    count = np.bincount(groups(past), minlength=len(cuts) + 2)
    cancellations = np.bincount(groups(past), weights=cancelled, minlength=len(cuts) + 2)
    return np.asarray(((cancellations + 0.5) / (count + 1.0))[groups(now)])
