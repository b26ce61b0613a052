"""Segments of the customers of a backtest: where ours is better than the best other, and where not.

The best other method of a segment is chosen on the same outcomes that it is compared on, which
favours it: among nine methods, one is ahead of an equal one by chance. A difference beyond chance
in our favour is therefore one; one against us need not be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.judging.draws import Draws
from stagecast.training.judging.evaluation_result import OURS
from stagecast.training.learners import metrics
from stagecast.training.learners.resampling import interval

if TYPE_CHECKING:
    import duckdb

    from stagecast.training.judging.backtest import Replay
    from stagecast.training.panel import Panel

Labels = NDArray[np.object_]
Measured = Literal["churn", "spend"]

TENURE = ((90.0, "under 90 days"), (365.0, "90 days to a year"), (730.0, "one to two years"))
LONGEST = "over two years"
SIZES = ("smallest fifth", "second fifth", "third fifth", "fourth fifth", "largest fifth")
ORDERS = ((1.0, "1 order"), (2.0, "2 orders"), (5.0, "3 to 5 orders"))
MOST_ORDERS = "6 orders or more"
MAX_CHANNELS = 8
OTHER, UNKNOWN = "other", "not known"
FEWEST_ROWS = 30
"""Predictions below which a segment is not compared."""


@dataclass(frozen=True)
class SegmentFigures:
    """Our error in a segment beside that of the best other method there.

    Parameters
    ----------
    segment, value
        What the customers are divided by, and the part: ``tenure``, ``under 90 days``.
    measured
        ``churn``: log loss (nats) of P(leaving); ``spend``: absolute error of the expected spend
        in the horizon, in money.
    rows
        Number of predictions; a customer has one at each date.
    came
        Share that left, or mean spend.
    ours, best
        Mean error over the predictions.
    best_name, best_label
        The method with the smallest error but ours.
    difference, low, high
        Ours less the best, and its 95 % interval over draws of customers and dates.
    relative
        Ours over the best, less 1; None where the best has no error.
    """

    segment: str
    value: str
    measured: Measured
    rows: int
    came: float
    ours: float
    best_name: str
    best_label: str
    best: float
    difference: float
    low: float | None
    high: float | None
    relative: float | None


def first_channels(connection: duckdb.DuckDBPyConnection) -> Mapping[str, str] | None:
    """Return the channel of each customer's first event; None where the log has no channels.

    All but the largest channels are called ``other``.
    """
    columns = {row[0] for row in connection.execute("describe events").fetchall()}
    if "channel" not in columns:
        return None
    rows = connection.execute(
        "select customer_id, arg_min(channel, timestamp) from events "
        "where channel is not null group by customer_id"
    ).fetchall()
    if not rows:
        return None
    names, counts = np.unique([str(channel) for _, channel in rows], return_counts=True)
    largest = set(names[np.argsort(-counts, kind="stable")[:MAX_CHANNELS]].tolist())
    return {
        str(customer): str(channel) if str(channel) in largest else OTHER
        for customer, channel in rows
    }


def segments_of(
    panel: Panel,
    rows: NDArray[np.int64],
    customers: Sequence[str],
    channels: Mapping[str, str] | None,
    *,
    has_amounts: bool,
) -> dict[str, Labels]:
    """Return the segments of some rows of a snapshot, by what was known at its as_of.

    Parameters
    ----------
    rows
        Rows of the snapshot.
    customers
        Their ids.
    channels
        Of :func:`first_channels`.
    """
    features = panel.now.features
    stages = np.array([stage.id for stage in panel.scheme.stages], dtype=object)
    segments: dict[str, Labels] = {"stage": stages[panel.now.stage[rows]]}
    segments["tenure"] = _banded(features["T_days"][rows], TENURE, LONGEST)
    if has_amounts:
        spend = features["spend"][rows]
        edges = np.quantile(spend, (0.2, 0.4, 0.6, 0.8)) if len(spend) else np.zeros(4)
        fifths = np.searchsorted(edges, spend, side="left")
        segments["size"] = np.array(SIZES, dtype=object)[fifths]
    else:
        segments["size"] = _banded(features["orders"][rows], ORDERS, MOST_ORDERS)
    if channels is not None:
        segments["channel"] = np.array(
            [channels.get(customer, UNKNOWN) for customer in customers], dtype=object
        )
    return segments


def _banded(values: Array, bands: Sequence[tuple[float, str]], last: str) -> Labels:
    names = np.array([*(name for _, name in bands), last], dtype=object)
    known = np.where(np.isnan(values), 0.0, values)
    return np.asarray(names[np.searchsorted([end for end, _ in bands], known, side="left")])


def segment_figures(
    replays: Sequence[Replay], draws: Draws, labels: Mapping[str, str]
) -> tuple[SegmentFigures, ...]:
    """Return ours beside the best other method in each segment; empty without another method.

    Parameters
    ----------
    replays
        Of all dates.
    draws
        Draws of their customers and dates.
    labels
        Name of a method -> label.
    """
    result: list[SegmentFigures] = []
    shared = set.intersection(*(set(replay.segments) for replay in replays))
    for measured in ("churn", "spend"):
        errors, outcomes = _errors(replays, measured)
        if OURS not in errors or len(errors) < 2:
            continue
        for name in sorted(shared):
            values = np.concatenate([replay.segments[name] for replay in replays])
            result += _of_segment(name, values, measured, errors, outcomes, draws, labels)
    return tuple(result)


def _errors(replays: Sequence[Replay], measured: Measured) -> tuple[dict[str, Array], Array]:
    """Return the error of each method that every date has, and what came, of all rows."""
    if measured == "spend" and not all(replay.expected_spend for replay in replays):
        return {}, np.zeros(0)
    said = [r.p_inactive if measured == "churn" else r.expected_spend for r in replays]
    names = [name for name in said[0] if all(name in of_date for of_date in said)]
    errors = {
        name: np.concatenate(
            [
                metrics.losses(replay.inactive, of_date[name])
                if measured == "churn"
                else np.abs(replay.observed_spend - of_date[name])
                for replay, of_date in zip(replays, said, strict=True)
            ]
        )
        for name in names
    }
    outcomes = np.concatenate(
        [r.inactive.astype(float) if measured == "churn" else r.observed_spend for r in replays]
    )
    return errors, outcomes


def _of_segment(
    name: str,
    values: Labels,
    measured: Measured,
    errors: Mapping[str, Array],
    outcomes: Array,
    draws: Draws,
    labels: Mapping[str, str],
) -> list[SegmentFigures]:
    parts, code = np.unique(values.astype(str), return_inverse=True)
    count = np.bincount(code, minlength=len(parts))
    means = {
        method: np.bincount(code, weights=error, minlength=len(parts)) / count
        for method, error in errors.items()
    }
    others = [method for method in errors if method != OURS]
    best = np.argmin([means[method] for method in others], axis=0)
    difference = means[OURS] - np.array([means[others[b]][k] for k, b in enumerate(best)])
    theirs = np.choose(best[code], [errors[method] for method in others])
    # linear in the weights, which may be below 0: Taylor's first term of the weighted mean
    centred = (errors[OURS] - theirs - difference[code]) / count[code]
    drawn = difference + np.array(
        [
            np.bincount(code, weights=np.concatenate(weights) * centred, minlength=len(parts))
            for weights in draws.each_of_both()
        ]
    )
    mean_outcome = np.bincount(code, weights=outcomes, minlength=len(parts)) / count
    result = []
    for k in _ordered(name, parts):
        if count[k] < FEWEST_ROWS:
            continue
        low, high = interval(drawn[:, k])
        method = others[best[k]]
        theirs_mean = float(means[method][k])
        result.append(
            SegmentFigures(
                segment=name,
                value=str(parts[k]),
                measured=measured,
                rows=int(count[k]),
                came=float(mean_outcome[k]),
                ours=float(means[OURS][k]),
                best_name=method,
                best_label=labels.get(method, method),
                best=theirs_mean,
                difference=float(difference[k]),
                low=metrics.finite(low),
                high=metrics.finite(high),
                relative=float(means[OURS][k]) / theirs_mean - 1.0 if theirs_mean > 0 else None,
            )
        )
    return result


def _ordered(name: str, parts: NDArray[np.str_]) -> list[int]:
    """Return the parts in their own order, those of no order by name."""
    order = {
        "tenure": [*(label for _, label in TENURE), LONGEST],
        "size": [*SIZES, *(label for _, label in ORDERS), MOST_ORDERS],
    }.get(name, [])
    return sorted(
        range(len(parts)),
        key=lambda k: (
            order.index(str(parts[k])) if str(parts[k]) in order else len(order),
            str(parts[k]),
        ),
    )
