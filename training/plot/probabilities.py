"""Predicted probabilities against what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from stagecast.features.arguments.values import refuse, whole_number
from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.training.fitted.evaluation import EvaluationReport
from stagecast.training.plot.style import (
    HEIGHT,
    OKABE_ITO,
    QUIET,
    inline,
    styled,
    titled,
)

_Z = float(ndtri(0.975))
_UNIT = alt.Scale(domain=[0, 1])
_SHARE = alt.Axis(format=".0%", tickCount=5)


def calibration(
    y_true: Any, p: ArrayLike | Mapping[str, ArrayLike] | None = None, *, bins: int = 10
) -> alt.VConcatChart:
    """Draw the share that happened against the predicted probability, by groups of equal size.

    On the diagonal a model is calibrated. Bars are 95 % intervals of the share (Wilson 1927).

    Parameters
    ----------
    y_true : array-like of shape (n,), or model
        What happened: 0 or 1, False or True. Without ``p``, a fitted :class:`stagecast.Lifecycle`
        or what its ``evaluate()`` returns: the tenths of its evaluation are drawn.
    p : array-like of shape (n,), or mapping
        Predicted probabilities; of several models by name.
    bins : int
        Number of groups; equal probabilities stay together.

    Raises
    ------
    UsageError
        Other outcomes than two, probabilities outside 0 to 1, different lengths, or a model
        without an evaluation.
    """
    if p is None:
        return _of_report(y_true)
    by_name = dict(p) if isinstance(p, Mapping) else {"": p}
    outcome = _outcomes(y_true)
    bins = whole_number(bins, "bins", "a whole number of 2 or more", least=2)
    groups, lines, shares = [], [], []
    for name, values in by_name.items():
        predicted = _probabilities(values, len(outcome))
        groups.append(_groups(outcome, predicted, bins).assign(model=name))
        heights, edges = np.histogram(predicted, bins=40, range=(0.0, 1.0))
        shares.append(
            pd.DataFrame(
                {
                    "low": edges[:-1],
                    "high": edges[1:],
                    "share": heights / len(predicted),
                    "model": name,
                }
            )
        )
        clipped = np.clip(predicted, 1e-15, 1.0 - 1e-15)
        loss = -np.where(outcome, np.log(clipped), np.log1p(-clipped)).mean()
        brier = np.mean((predicted - outcome) ** 2)
        prefix = f"{name}: " if name else ""
        lines.append(
            f"{prefix}log loss {loss:.4f}, Brier score {brier:.4f}, mean {predicted.mean():.1%} "
            f"against {outcome.mean():.1%}"
        )
    names = list(by_name)
    colour = alt.Color(
        "model:N",
        title=None,
        sort=None,
        scale=alt.Scale(domain=names, range=[OKABE_ITO[k % 8] for k in range(len(names))]),
        legend=alt.Legend(orient="top", symbolType="circle") if len(names) > 1 else None,
    )
    # the labels stand below the lower panel
    x = alt.X("predicted:Q", title=None, scale=_UNIT, axis=alt.Axis(tickCount=5, labels=False))
    upper = _diagram(pd.concat(groups), x, colour)
    lower = (
        alt.Chart(inline(pd.concat(shares)))
        .mark_bar(opacity=0.8 if len(names) == 1 else 0.45, binSpacing=1)
        .encode(
            x=alt.X("low:Q", title="predicted probability", scale=_UNIT, axis=_SHARE, bin="binned"),
            x2="high:Q",
            y=alt.Y(
                "share:Q",
                title="customers",
                stack=None,
                axis=alt.Axis(format=".0%", tickCount=3),
            ),
            color=colour,
        )
        .properties(width=HEIGHT + 40, height=70)
    )
    title = titled(f"Calibration on {len(outcome):,} customers", lines)
    result: alt.VConcatChart = styled(alt.vconcat(upper, lower, spacing=8).properties(title=title))
    return result


def _of_report(model: Any) -> alt.VConcatChart:
    """Draw the evaluation of a model, of which the tenths of the customers are known."""
    report = model.evaluate() if hasattr(model, "evaluate") else model
    if not isinstance(report, EvaluationReport):
        raise UsageError(
            "p is missing: give the predicted probabilities beside the outcomes, or a fitted "
            "Lifecycle or its evaluate() alone"
        )
    tenths, evaluation = report.calibration, report.evaluation
    if evaluation is None or tenths.empty:
        raise UsageError(
            "the model has no evaluation to draw: its log was too young to be tested on a later "
            "period"
        )
    n = tenths["customers"].to_numpy(dtype=np.float64)
    share = tenths["observed"].to_numpy(dtype=np.float64)
    groups = _with_interval(tenths["predicted"].to_numpy(dtype=np.float64), share, n)
    x = alt.X("predicted:Q", title="predicted probability", scale=_UNIT, axis=_SHARE)
    ours = evaluation["models"][0]
    lines = [
        f"log loss {ours['log_loss']:.4f}, Brier score {ours['brier']:.4f}, outcomes of "
        f"{evaluation['as_of'][:10]} to {evaluation['until'][:10]}"
    ]
    title = titled(f"Calibration on {evaluation['customers']:,} customers", lines)
    diagram = _diagram(groups.assign(model=""), x, alt.value(OKABE_ITO[0]))
    result: alt.VConcatChart = styled(alt.vconcat(diagram).properties(title=title))
    return result


def _diagram(groups: pd.DataFrame, x: alt.X, colour: Any) -> Any:
    base = alt.Chart(inline(groups)).encode(x=x, color=colour)
    y = alt.Y("happened:Q", title="share that happened", scale=_UNIT, axis=_SHARE)
    diagonal = (
        alt.Chart(inline([{"at": 0.0}, {"at": 1.0}]))
        .mark_line(color=QUIET, strokeDash=[5, 4])
        .encode(x="at:Q", y="at:Q")
    )
    bars = base.mark_rule(strokeWidth=1.6).encode(y="low:Q", y2="high:Q")
    line = base.mark_line(strokeWidth=1.6, opacity=0.6).encode(y=y)
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=y,
        shape=alt.Shape("model:N", sort=None, legend=None),
        tooltip=[
            alt.Tooltip("customers:Q", format=",d"),
            alt.Tooltip("predicted:Q", title="predicted", format=".1%"),
            alt.Tooltip("happened:Q", title="happened", format=".1%"),
        ],
    )
    layers = alt.layer(diagonal, bars, line, dots)
    return layers.properties(width=HEIGHT + 40, height=HEIGHT)


def _outcomes(y_true: ArrayLike) -> NDArray[np.bool_]:
    outcome = np.asarray(y_true)
    if outcome.ndim != 1 or not len(outcome) or not np.isin(outcome, [0, 1]).all():
        raise UsageError(
            "y_true must be one outcome per customer, 0 or 1; make it so, as in y == 'churned'"
        )
    return outcome.astype(np.bool_)


def _probabilities(values: ArrayLike, length: int) -> Array:
    try:
        predicted = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        refuse(values, "p", "one probability per customer, like [0.2, 0.7]")
    if predicted.shape != (length,):
        raise UsageError(
            f"p has shape {predicted.shape} and y_true ({length},); give one probability per "
            "outcome, that of what y_true says"
        )
    bad = np.flatnonzero(~((predicted >= 0) & (predicted <= 1)))
    if len(bad):
        raise UsageError(
            f"p holds {predicted[bad[0]]} at position {bad[0]}; probabilities are within 0 to 1"
        )
    return predicted


def _groups(outcome: NDArray[np.bool_], predicted: Array, bins: int) -> pd.DataFrame:
    edges = np.unique(np.quantile(predicted, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    group = np.searchsorted(edges, predicted, side="left")
    table = pd.DataFrame({"group": group, "predicted": predicted, "happened": outcome})
    mean = table.groupby("group").mean()
    n: Array = table.groupby("group").size().to_numpy().astype(np.float64)
    share: Array = mean["happened"].to_numpy(dtype=np.float64)
    return _with_interval(mean["predicted"].to_numpy(dtype=np.float64), share, n)


def _with_interval(predicted: Array, share: Array, n: Array) -> pd.DataFrame:
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return pd.DataFrame(
        {
            "predicted": predicted,
            "happened": share,
            "low": np.maximum(centre - half, 0.0),
            "high": np.minimum(centre + half, 1.0),
            "customers": n,
        }
    )
