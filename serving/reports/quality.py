"""How good a model was, for the report and the page of trust: methods compared by measures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.reports.comparison import (
    Comparison,
    HasFigures,
    Method,
    churn_metrics,
    comparison,
    method_of,
    spend_metrics,
)


@dataclass(frozen=True)
class Quality:
    """Methods by measures; None where there is nothing to compare.

    Parameters
    ----------
    models
        Who leaves: among the active where that is known, else of all who could.
    next_stage
        Which stage comes next.
    spend, value
        Money within the horizon, and within the value horizon.
    actual_total
        Money spent in the period; None without amounts.
    """

    models: Comparison | None
    next_stage: Comparison | None
    spend: Comparison | None
    value: Comparison | None
    actual_total: float | None


def quality(
    evaluation: Mapping[str, Any], currency: str | None = None, display: Display = ENGLISH
) -> Quality:
    """Return what a page shows of an evaluation, as the card of a model has it.

    Parameters
    ----------
    evaluation
        As plain data.
    currency
        Of its money; None: not known.
    display
        Language and digits.
    """
    active = evaluation.get("active") or {}
    models = active.get("models") or evaluation.get("models") or ()
    spend, value = evaluation.get("spend") or (), evaluation.get("value") or {}
    measures, next_stage = churn_metrics(display), evaluation.get("next_stage") or ()
    return Quality(
        models=comparison(map(method_of, models), measures, display),
        next_stage=comparison(map(method_of, next_stage), measures, display),
        spend=money_methods(spend, currency, display),
        value=money_methods(value.get("models") or (), currency, display),
        actual_total=spend[0]["actual_total"] if spend else None,
    )


def money_methods(
    figures: Iterable[HasFigures | Mapping[str, Any]],
    currency: str | None = None,
    display: Display = ENGLISH,
) -> Comparison | None:
    """Return how good methods were at money; None where there is nothing to compare."""
    methods = [_with_share(method_of(row)) for row in figures]
    return comparison(methods, spend_metrics(currency, display), display)


def _with_share(method: Method) -> Method:
    """Return a method with what it predicted in all over what came."""
    predicted, actual = method.figures["predicted_total"], method.figures["actual_total"]
    share = predicted / actual if actual else None
    return replace(method, figures={**method.figures, "of_actual": share})
