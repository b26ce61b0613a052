"""Result of a backtest: figures with intervals, differences from each baseline, and a grade.

A figure is the mean over the dates of the figure of each. Customers and dates are drawn, see
:mod:`stagecast.training.judging.draws`. Differences are paired: both methods are measured on the
same draws. With one date, intervals cover chance among customers alone.

Sources: Diebold and Mariano (1995), "Comparing predictive accuracy", for the paired comparison
of losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.baselines import buyers as baselines
from stagecast.training.churn_kinds import kind_of
from stagecast.training.judging.backtest import Replay
from stagecast.training.judging.campaign import Campaign, CampaignCosts, campaign_of
from stagecast.training.judging.compared import compared
from stagecast.training.judging.date_verdict import date_verdict
from stagecast.training.judging.draws import (
    Draws,
    draw,
    draw_customers,
    mean_over_dates,
    ratio,
    ratios,
    weighted_sums,
)
from stagecast.training.judging.evaluation_result import OURS, Difference
from stagecast.training.judging.grade import grade
from stagecast.training.judging.segments import segment_figures
from stagecast.training.judging.verdict_result import (
    ChurnEstimates,
    SpendCoverage,
    SpendDecile,
    SpendEstimates,
    StageEstimates,
    Verdict,
)
from stagecast.training.learners import metrics
from stagecast.training.learners.resampling import interval

Measure = Callable[[Array], dict[str, Array]]
"""Weights of the rows of one date, shape (draws, rows) -> figures of one method, shape (draws,)."""

SHARES = (0.05, 0.10, 0.20)
GAINS = (0.05, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.80, 1.0)


@dataclass(frozen=True)
class _Drawn:
    """A method and its figures, shape (n_draws,): in the first draw everybody is drawn once."""

    name: str
    label: str
    figures: Mapping[str, Array]

    def values(self) -> dict[str, Any]:
        """Return the figures, None where a figure is not known."""
        return {key: metrics.finite(float(values[0])) for key, values in self.figures.items()}

    def ends(self) -> dict[str, Any]:
        """Return the ends of the 95 % intervals as ``<figure>_low`` and ``<figure>_high``."""
        ends: dict[str, Any] = {}
        for key, values in self.figures.items():
            low, high = interval(values[1:])
            ends[f"{key}_low"], ends[f"{key}_high"] = metrics.finite(low), metrics.finite(high)
        return ends


def verdict(
    replays: Sequence[Replay],
    horizon_days: int,
    seed: int,
    costs: CampaignCosts | None = None,
    margin: float = 1.0,
) -> Verdict:
    """Return the result of a backtest.

    Parameters
    ----------
    replays
        Of at least one date, oldest first.
    horizon_days
        Days from the as_of of a replay to its outcomes.
    seed
        Of the draws of customers and dates; the same seed gives the same figures.
    costs
        What is known of the campaign that EMPC is of; None: it is taken from the log.
    margin
        Share of the spend that is earned.
    """
    chosen = compared([replay.p_inactive for replay in replays])
    alike = [replays[k] for k in chosen.dates]
    draws = draw(alike, seed)
    own = replays[0].labels
    labels = {**own, **kind_of(replays[0].churn).baseline_labels}
    churn = _drawn_figures(
        alike, draws, labels, _churn_measure, [replay.p_inactive for replay in alike]
    )
    of_money = compared([replay.expected_spend for replay in replays]).dates
    with_money = [replays[k] for k in of_money]
    spend = _drawn_figures(
        with_money,
        draws if of_money == chosen.dates else draw(with_money, seed),
        {**own, **baselines.SPEND_LABELS},
        _spend_measure,
        [replay.expected_spend for replay in with_money],
    )
    against = _differences(churn, "log_loss")
    campaign = campaign_of(alike, costs, margin)
    models = tuple(_churn_estimates(alike, method, campaign) for method in churn)
    customers = sum(len(replay.customers) for replay in alike) // len(alike)
    graded = grade(models, against, customers, "these dates")
    inactive, p = _stacked(replays)
    next_stage, next_stage_against = _next_stage(replays, seed)
    return Verdict(
        churn=replays[0].churn,
        horizon_days=horizon_days,
        dates=tuple(date_verdict(replay, horizon_days) for replay in replays),
        customers=len(set().union(*(replay.customers for replay in replays))),
        rows=sum(len(replay.customers) for replay in replays),
        grade=graded.letter,
        grade_sentence=graded.sentence,
        models=models,
        against=against,
        deciles=metrics.deciles(inactive, p, _stacked_spend(replays)),
        calibration=metrics.calibration(inactive, p),
        gains=metrics.gains(inactive, p, GAINS),
        spend=tuple(
            SpendEstimates(method.name, method.label, **method.values(), **method.ends())
            for method in spend
        ),
        spend_against=_differences(spend, "mae"),
        spend_deciles=_spend_deciles(replays),
        coverage=_coverage(replays),
        segments=segment_figures(alike, draws, {**baselines.SPEND_LABELS, **labels}),
        next_stage=next_stage,
        next_stage_against=next_stage_against,
        campaign=campaign,
    )


def _drawn_figures(
    replays: Sequence[Replay],
    draws: Draws,
    labels: Mapping[str, str],
    measure_of: Callable[[Replay, Array], Measure],
    predictions: Sequence[Mapping[str, Array]],
) -> list[_Drawn]:
    """Return the figures of each method that every of these dates has.

    Parameters
    ----------
    labels
        Name of a baseline -> its label.
    measure_of
        Returns what measures the predictions of a method at one date.
    predictions
        Name of the method -> its predictions, for each date.
    """
    names = dict.fromkeys((OURS, *labels))
    shared = [name for name in names if all(name in of_date for of_date in predictions)]
    methods = []
    for name in shared:
        measures = [
            measure_of(replay, of_date[name])
            for replay, of_date in zip(replays, predictions, strict=True)
        ]
        drawn = [
            [measure(weight) for measure, weight in zip(measures, weights, strict=True)]
            for weights in draws.blocks()
        ]
        figures = {
            key: mean_over_dates(
                np.vstack(
                    [np.column_stack([of_date[key] for of_date in block]) for block in drawn]
                ),
                draws.dates,
            )
            for key in drawn[0][0]
        }
        methods.append(_Drawn(name, "stagecast" if name == OURS else labels[name], figures))
    return methods


def _churn_measure(replay: Replay, p: Array) -> Measure:
    inactive = replay.inactive
    losses = metrics.losses(inactive, p)
    squares = (p - inactive) ** 2
    ranking = metrics.Ranking(inactive, p)

    def measure(weights: Array) -> dict[str, Array]:
        total = weights.sum(axis=1)
        return {
            "log_loss": ratios(weighted_sums(weights, losses), total),
            "brier": ratios(weighted_sums(weights, squares), total),
            **ranking.figures(weights, SHARES),
        }

    return measure


def _next_stage(
    replays: Sequence[Replay], seed: int
) -> tuple[tuple[StageEstimates, ...], tuple[Difference, ...]]:
    """Return the figures of the next stage of all customers, and our differences."""
    known = [replay.stage_losses for replay in replays]
    losses = [of_date for of_date in known if of_date is not None and len(of_date.customers)]
    if len(losses) < len(replays):
        return (), ()
    labels = {figures.name: figures.label for replay in replays for figures in replay.next_stage}
    draws = draw_customers([of_date.customers for of_date in losses], len(labels), seed)
    methods = _drawn_figures(
        replays, draws, labels, _loss_measure, [of_date.losses for of_date in losses]
    )
    estimates = []
    for method in methods:
        errors = [
            figures.calibration_error
            for replay in replays
            for figures in replay.next_stage
            if figures.name == method.name
        ]
        estimates.append(
            StageEstimates(
                name=method.name,
                label=method.label,
                **method.values(),
                calibration_error=float(np.mean(errors)),
                **method.ends(),
            )
        )
    return tuple(estimates), _differences(methods, "log_loss")


def _loss_measure(_: Replay, losses: Array) -> Measure:
    def measure(weights: Array) -> dict[str, Array]:
        return {"log_loss": ratios(weighted_sums(weights, losses), weights.sum(axis=1))}

    return measure


def _spend_measure(replay: Replay, expected: Array) -> Measure:
    errors = np.abs(replay.observed_spend - expected)

    def measure(weights: Array) -> dict[str, Array]:
        observed = weighted_sums(weights, replay.observed_spend)
        return {
            "mae": ratios(weighted_sums(weights, errors), weights.sum(axis=1)),
            "bias": ratios(weighted_sums(weights, expected), observed) - 1.0,
        }

    return measure


def _churn_estimates(
    replays: Sequence[Replay], method: _Drawn, campaign: Campaign
) -> ChurnEstimates:
    """Return the figures of a method with their intervals, and those that are not drawn."""
    pairs = [(replay.inactive, replay.p_inactive[method.name]) for replay in replays]
    costs = asdict(campaign)
    profits = [p for pair in pairs if (p := metrics.empc(*pair, **costs)) is not None]
    values = method.values()
    lifts: dict[str, Any] = {}
    for share in SHARES:
        captured = values[f"capture_{share * 100:.0f}"]
        lifts[f"lift_{share * 100:.0f}"] = None if captured is None else captured / share
    return ChurnEstimates(
        name=method.name,
        label=method.label,
        **values,
        calibration_error=float(np.mean([metrics.calibration_error(*pair) for pair in pairs])),
        empc=float(np.mean([profit for profit, _ in profits])) if profits else None,
        empc_share=float(np.mean([share for _, share in profits])) if profits else None,
        **method.ends(),
        **lifts,
    )


def _differences(methods: Sequence[_Drawn], figure: str) -> tuple[Difference, ...]:
    """Return how our figure differs from that of each baseline, over the same draws."""
    if not methods or methods[0].name != OURS:
        return ()
    ours = methods[0].figures[figure]
    differences = []
    for baseline in methods[1:]:
        theirs = baseline.figures[figure]
        difference = ours - theirs
        drawn = difference[1:][np.isfinite(difference[1:])]
        low, high = interval(drawn)
        differences.append(
            Difference(
                name=baseline.name,
                label=baseline.label,
                difference=metrics.finite(float(difference[0])),
                low=metrics.finite(low),
                high=metrics.finite(high),
                relative=metrics.finite(ratio(float(ours[0]), float(theirs[0])) - 1.0),
                better_in=metrics.finite(ratio(float((drawn < 0).sum()), float(len(drawn)))),
            )
        )
    return tuple(differences)


def _stacked(replays: Sequence[Replay]) -> tuple[NDArray[np.bool_], Array]:
    """Return outcomes and our probabilities of all dates, one after the other."""
    inactive = np.concatenate([replay.inactive for replay in replays])
    return inactive, np.concatenate([replay.p_inactive[OURS] for replay in replays])


def _stacked_spend(replays: Sequence[Replay]) -> Array | None:
    """Return the observed spend of all dates; None where a date has no money."""
    if not all(replay.expected_spend for replay in replays):
        return None
    return np.concatenate([replay.observed_spend for replay in replays])


def _spend_deciles(replays: Sequence[Replay]) -> tuple[SpendDecile, ...]:
    """Return tenths of the customers by our expected spend, highest first; empty without money."""
    observed = _stacked_spend(replays)
    if observed is None:
        return ()
    expected = np.concatenate([replay.expected_spend[OURS] for replay in replays])
    order = np.argsort(-expected, kind="stable")
    total = float(observed.sum())
    deciles: list[SpendDecile] = []
    running = 0.0
    for rows in np.array_split(order, 10):
        if len(rows):
            running += float(observed[rows].sum())
            deciles.append(
                SpendDecile(
                    customers=float(len(rows)),
                    expected=float(expected[rows].mean()),
                    came=float(observed[rows].mean()),
                    held=metrics.finite(ratio(running, total)),
                )
            )
    return tuple(deciles)


def _coverage(replays: Sequence[Replay]) -> SpendCoverage | None:
    """Return how often our 90 % intervals hold the observed spend; None where no date has any."""
    inside, widths, observed = [], [], []
    for replay in replays:
        if replay.low is not None and replay.high is not None:
            spend = np.maximum(replay.observed_spend, 0.0)
            inside.append((spend >= replay.low) & (spend <= replay.high))
            widths.append(replay.high - replay.low)
            observed.append(replay.observed_spend)
    if not inside:
        return None
    mean_width, mean_spend = np.concatenate(widths).mean(), np.concatenate(observed).mean()
    return SpendCoverage(
        expected_spend=float(np.concatenate(inside).mean()),
        width=metrics.finite(ratio(float(mean_width), float(mean_spend))),
    )
