"""Figures of one replayed date of a backtest."""

from __future__ import annotations

import numpy as np

from stagecast.features.clock import DAY, iso
from stagecast.training.judging.backtest import Replay
from stagecast.training.judging.verdict_result import DateSpend, DateSpendFigures, DateVerdict
from stagecast.training.learners import metrics


def date_verdict(replay: Replay, horizon_days: int) -> DateVerdict:
    """Return the figures of one date, of all methods that it has."""
    inactive, predictions = replay.inactive, replay.p_inactive
    return DateVerdict(
        as_of=iso(replay.as_of),
        until=iso(replay.as_of + horizon_days * DAY),
        customers=len(replay.customers),
        base_rate=float(inactive.mean()),
        learned_from=replay.learned_from,
        log_loss={name: metrics.log_loss(inactive, p) for name, p in predictions.items()},
        auc={name: metrics.finite(metrics.auc(inactive, p)) for name, p in predictions.items()},
        calibration_error={
            name: metrics.calibration_error(inactive, p) for name, p in predictions.items()
        },
        next_stage=replay.next_stage,
        conversion=replay.conversion,
        money=_date_spend(replay) if replay.expected_spend else None,
    )


def _date_spend(replay: Replay) -> DateSpend:
    observed = replay.observed_spend
    return DateSpend(
        spend={
            name: DateSpendFigures(
                mae=float(np.abs(observed - expected).mean()),
                rank_correlation=metrics.finite(metrics.rank_correlation(observed, expected)),
                gini=metrics.finite(metrics.normalised_gini(np.maximum(observed, 0.0), expected)),
                predicted_total=float(expected.sum()),
            )
            for name, expected in replay.expected_spend.items()
        },
        actual_total=float(observed.sum()),
        coverage=replay.coverage,
    )
