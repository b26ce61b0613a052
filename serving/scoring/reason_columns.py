"""The columns ``reasons``, ``risk_base`` and ``risk_rest`` of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stagecast.serving.scoring.compact_columns import EmptyLists
from stagecast.training.reasons.explanation import Explanation
from stagecast.training.reasons.reason import Reason
from stagecast.training.reasons.sentences import sentence_of


def reason_columns(
    explanations: Mapping[int, Explanation], rows: int, currency: str | None = None
) -> dict[str, Any]:
    """Return the columns of a batch.

    Parameters
    ----------
    explanations
        Row -> why its risk is as it is; a row without one has no reasons, and null base and rest.
    rows
        Number of rows.
    currency
        Code of the currency of amounts in sentences; None: not known.
    """
    base, rest = np.full(rows, np.nan), np.full(rows, np.nan)
    if not explanations:
        return {"reasons": EmptyLists(rows), "risk_base": base, "risk_rest": rest}
    reasons = [list[dict[str, Any]]() for _ in range(rows)]
    for row, explanation in explanations.items():
        reasons[row] = [fields_of(reason, currency) for reason in explanation.reasons]
        base[row], rest[row] = explanation.base, explanation.rest
    return {"reasons": reasons, "risk_base": base, "risk_rest": rest}


def fields_of(reason: Reason, currency: str | None) -> dict[str, Any]:
    """Return a reason as a score holds it, with its sentence.

    Parameters
    ----------
    reason
        The reason.
    currency
        As of :func:`reason_columns`.
    """
    fields: dict[str, Any] = {
        "feature": reason.feature,
        "value": _known(reason.value),
        "usual": _known(reason.usual),
        "effect": _known(reason.effect),
        "code": reason.code,
        "direction": reason.direction,
        "label": reason.label,
    }
    return {**fields, "sentence": sentence_of(fields, currency=currency)}


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
