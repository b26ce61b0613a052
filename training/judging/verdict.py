"""What the replays of a backtest say together: figures with their intervals, differences from each
baseline, a grade.

A figure is the mean over the dates of the figure of each. Customers are drawn anew, all dates of
one together, with Poisson weights of mean 1, so intervals allow for the same customer being seen at
several dates. Differences are paired: both methods are measured on the same draws. Intervals cover
chance among customers, not what another year would bring.

Sources: Hanley and MacGibbon (2006), "Creating non-parametric bootstrap samples using Poisson
frequencies"; Diebold and Mariano (1995), "Comparing predictive accuracy", for the paired comparison
of losses; grades are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY, iso
from stagecast.training.baselines import buyers as baselines
from stagecast.training.churn_kinds import kind_of
from stagecast.training.judging.backtest import OURS, Replay
from stagecast.training.judging.draws import Draws, draw, interval, mean_known, over
from stagecast.training.learners import metrics

Measure = Callable[[Array], dict[str, float]]

SHARES = (0.05, 0.10, 0.20)
GAINS = (0.05, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.80, 1.0)
# Gains in log loss over the best baseline from which a grade is earned.
MUCH, SOME = 0.02, 0.005


def verdict(replays: Sequence[Replay], horizon_days: int, seed: int) -> dict[str, Any]:
    """Return the backtest as JSON-ready values.

    Parameters
    ----------
    replays
        Of at least one date, oldest first.
    seed
        Of the draws of customers; the same seed gives the same figures.
    """
    draws = draw(replays, seed)
    churn = _figures(
        replays,
        draws,
        kind_of(replays[0].churn).baseline_labels,
        _chance_measures,
        [r.p_inactive for r in replays],
    )
    against = _against(churn, "log_loss")
    for row in churn:
        row |= _means(replays, row["name"])
    spend = _figures(
        replays, draws, baselines.SPEND_LABELS, _money_measures, [r.expected_spend for r in replays]
    )
    grade, sentence = grade_of(churn, against)
    return {
        "churn": replays[0].churn,
        "horizon_days": horizon_days,
        "dates": [_date(one, horizon_days) for one in replays],
        "customers": len(set().union(*(one.customers for one in replays))),
        "rows": sum(len(one.customers) for one in replays),
        "grade": grade,
        "grade_sentence": sentence,
        "models": [_told(row) for row in churn],
        "against": against,
        "deciles": _deciles(replays),
        "calibration": _calibration(replays),
        "gains": metrics.gains(*_stacked(replays), GAINS),
        "spend": [_told(row) for row in spend],
        "spend_against": _against(spend, "mae"),
        "spend_deciles": _spend_deciles(replays),
        "coverage": _coverage(replays),
    }


def grade_of(
    churn: Sequence[Mapping[str, Any]], against: Sequence[Mapping[str, Any]]
) -> tuple[str, str]:
    """Return a grade from A to D by the log loss, with the sentence that says so.

    A: at least 2 % below the best baseline's, and the difference from each is beyond chance. B: at
    least half a per cent below it, or beyond chance. C: no worse than half a per cent above it, or
    within chance. D: worse.
    """
    if not against:
        return "C", "No baseline could be fitted on this log, so there is nothing to compare with."
    ours = churn[0]["log_loss"]
    best = min(churn[1:], key=lambda row: row["log_loss"])
    gain = 1.0 - ours / best["log_loss"]
    apart = next(one for one in against if one["name"] == best["name"])
    sure = all(one["high"] is not None and one["high"] < 0 for one in against)
    better = apart["high"] is not None and apart["high"] < 0
    worse = apart["low"] is not None and apart["low"] > 0
    told = (
        f"{abs(gain):.1%} {'below' if gain >= 0 else 'above'} that of {best['label']}, "
        "the best of the others"
    )
    if gain >= MUCH and sure:
        return "A", f"Clearly better than every baseline: the log loss is {told}, beyond chance."
    if gain >= SOME or (gain > 0 and sure):
        by_chance = "beyond chance" if better else "which chance among customers could bring about"
        return "B", f"Better than every baseline: the log loss is {told}, {by_chance}."
    if gain >= -SOME:
        return "C", f"As good as the best baseline, and no better: the log loss is {told}."
    if not worse:
        return (
            "C",
            (
                "No better than the best baseline, and within chance no worse: the log loss "
                f"is {told}."
            ),
        )
    return (
        "D",
        f"No better than a simple method on these dates: the log loss is {told}. Use that method.",
    )


def _figures(
    replays: Sequence[Replay],
    draws: Draws,
    labels: Mapping[str, str],
    measures: Callable[[Replay, Array], Measure],
    predicted: Sequence[Mapping[str, Array]],
) -> list[dict[str, Any]]:
    """Return a row per method that every date has: each figure, its interval, and its values
    under all draws.
    """
    shared = [name for name in (OURS, *labels) if all(name in one for one in predicted)]
    rows = []
    for name in shared:
        each = [measures(one, found[name]) for one, found in zip(replays, predicted, strict=True)]
        drawn = [
            [measure(w) for measure, w in zip(each, weights, strict=True)]
            for weights in draws.each()
        ]
        label = "stagecast" if name == OURS else labels[name]
        row: dict[str, Any] = {"name": name, "label": label, "drawn": {}}
        for figure in drawn[0][0]:
            values = mean_known(np.array([[of_date[figure] for of_date in draw] for draw in drawn]))
            row["drawn"][figure] = values
            row[figure] = float(values[0])
        rows.append(row)
    return rows


def _chance_measures(one: Replay, p: Array) -> Measure:
    inactive = one.inactive
    losses = metrics.losses(inactive, p)
    squares = (p - inactive) ** 2
    ranking = metrics.Ranking(inactive, p)

    def measure(weight: Array) -> dict[str, float]:
        total = float(weight.sum())
        return {
            "log_loss": over(float(weight @ losses), total),
            "brier": over(float(weight @ squares), total),
            **ranking.figures(weight, SHARES),
        }

    return measure


def _money_measures(one: Replay, prediction: Array) -> Measure:
    misses = np.abs(one.spend_came - prediction)

    def measure(weight: Array) -> dict[str, float]:
        came = float(weight @ one.spend_came)
        return {
            "mae": over(float(weight @ misses), float(weight.sum())),
            "bias": over(float(weight @ prediction), came) - 1.0,
        }

    return measure


def _means(replays: Sequence[Replay], name: str) -> dict[str, Any]:
    """Return the figures of a method that are not drawn: means over the dates."""
    errors = [metrics.calibration_error(one.inactive, one.p_inactive[name]) for one in replays]
    profits = [metrics.empc(one.inactive, one.p_inactive[name]) for one in replays]
    known = [profit for profit in profits if profit is not None]
    return {
        "calibration_error": float(np.mean(errors)),
        "empc": float(np.mean([profit for profit, _ in known])) if known else None,
        "empc_share": float(np.mean([share for _, share in known])) if known else None,
    }


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row ready for JSON: figures with the ends of their intervals; lift beside
    capture.
    """
    told = {
        key: metrics.finite(value) if isinstance(value, float) else value
        for key, value in row.items()
        if key != "drawn"
    }
    for figure, values in row["drawn"].items():
        low, high = interval(values[1:])
        told[f"{figure}_low"], told[f"{figure}_high"] = metrics.finite(low), metrics.finite(high)
    for share in SHARES:
        captured = told.get(f"capture_{share * 100:.0f}")
        if captured is not None:
            told[f"lift_{share * 100:.0f}"] = captured / share
    return told


def _against(rows: Sequence[Mapping[str, Any]], figure: str) -> list[dict[str, Any]]:
    """Return, for each baseline, our figure less its own with the interval, and the share of
    draws in which we win.
    """
    if not rows or rows[0]["name"] != OURS:
        return []
    ours = rows[0]["drawn"][figure]
    found = []
    for row in rows[1:]:
        apart = ours - row["drawn"][figure]
        drawn = apart[1:][np.isfinite(apart[1:])]
        low, high = interval(drawn)
        found.append(
            {
                "name": row["name"],
                "label": row["label"],
                "difference": metrics.finite(float(apart[0])),
                "low": metrics.finite(low),
                "high": metrics.finite(high),
                "relative": metrics.finite(
                    over(float(ours[0]), float(row["drawn"][figure][0])) - 1.0
                ),
                "better_in": metrics.finite(over(float((drawn < 0).sum()), float(len(drawn)))),
            }
        )
    return found


def _date(one: Replay, horizon_days: int) -> dict[str, Any]:
    """Return what one date says by itself."""
    told = {
        "as_of": iso(one.as_of),
        "until": iso(one.as_of + horizon_days * DAY),
        "customers": len(one.customers),
        "base_rate": float(one.inactive.mean()),
        **one.used,
        "log_loss": {name: metrics.log_loss(one.inactive, p) for name, p in one.p_inactive.items()},
        "auc": {
            name: metrics.finite(metrics.auc(one.inactive, p)) for name, p in one.p_inactive.items()
        },
        "calibration_error": {
            name: metrics.calibration_error(one.inactive, p) for name, p in one.p_inactive.items()
        },
        "next_stage": one.evaluation["next_stage"],
        "conversion": one.evaluation["conversion"],
    }
    if one.expected_spend:
        came = one.spend_came
        told["spend"] = {
            name: {
                "mae": float(np.abs(came - money).mean()),
                "rank_correlation": metrics.finite(metrics.rank_correlation(came, money)),
                "gini": metrics.finite(metrics.normalised_gini(np.maximum(came, 0.0), money)),
                "predicted_total": float(money.sum()),
            }
            for name, money in one.expected_spend.items()
        }
        told["actual_total"] = float(came.sum())
        told["coverage"] = one.evaluation["coverage"]
    return told


def _stacked(replays: Sequence[Replay]) -> tuple[NDArray[np.bool_], Array]:
    inactive = np.concatenate([one.inactive for one in replays])
    return inactive, np.concatenate([one.p_inactive[OURS] for one in replays])


def _all_money(replays: Sequence[Replay]) -> bool:
    return all(one.expected_spend for one in replays)


def _deciles(replays: Sequence[Replay]) -> list[dict[str, float]]:
    inactive, p = _stacked(replays)
    money = np.concatenate([one.spend_came for one in replays]) if _all_money(replays) else None
    return metrics.deciles(inactive, p, money)


def _calibration(replays: Sequence[Replay]) -> list[dict[str, float]]:
    return metrics.calibration(*_stacked(replays))


def _spend_deciles(replays: Sequence[Replay]) -> list[dict[str, float | None]]:
    """Return tenths of customers by our expected spend, highest first: what was expected, what
    came.
    """
    if not _all_money(replays):
        return []
    expected = np.concatenate([one.expected_spend[OURS] for one in replays])
    came = np.concatenate([one.spend_came for one in replays])
    order = np.argsort(-expected, kind="stable")
    total = float(came.sum())
    rows: list[dict[str, float | None]] = []
    so_far = 0.0
    for part in np.array_split(order, 10):
        if len(part):
            so_far += float(came[part].sum())
            row = {"customers": float(len(part)), "expected": float(expected[part].mean())}
            rows.append(
                {
                    **row,
                    "came": float(came[part].mean()),
                    "held": metrics.finite(over(so_far, total)),
                }
            )
    return rows


def _coverage(replays: Sequence[Replay]) -> dict[str, float | None] | None:
    """Return the share of outcomes within our 90 % intervals, and the mean width of these over
    the mean spend.
    """
    known = [one for one in replays if one.low is not None and one.high is not None]
    if not known:
        return None
    inside = [
        (np.maximum(o.spend_came, 0.0) >= o.low) & (np.maximum(o.spend_came, 0.0) <= o.high)
        for o in known
    ]
    wide = np.concatenate(
        [o.high - o.low for o in known if o.high is not None and o.low is not None]
    )
    came = np.concatenate([o.spend_came for o in known])
    return {
        "expected_spend": float(np.concatenate(inside).mean()),
        "width": metrics.finite(over(float(wide.mean()), float(came.mean()))),
    }
