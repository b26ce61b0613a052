"""The fields ``reasons``, ``risk_base`` and ``risk_rest`` of one score."""

from __future__ import annotations

import math
from typing import Any

from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.reason_columns import fields_of
from stagecast.training.bundle import Bundle
from stagecast.training.reasons.explanation import Explanation

_FIELDS = tuple(field.name for field in score_schema.REASON)


class ReasonsOfScore:
    """Writes the reasons of one score as :mod:`stagecast.serving.scoring.reason_columns` does.

    Parameters
    ----------
    bundle
        The bundle, whose currency sentences have.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._currency = bundle.money.currency
        features = bundle.models.catalog.features
        self._in_money = frozenset(f.name for f in features if f.unit == "money")

    def columns(self, explanation: Explanation | None, *, has_amounts: bool) -> dict[str, Any]:
        """Return the three fields.

        Parameters
        ----------
        explanation
            Why the risk is as it is; None: not known.
        has_amounts
            Whether the customer has amounts; without them, no reason names money.
        """
        if explanation is None:
            return {"reasons": [], "risk_base": math.nan, "risk_rest": math.nan}
        reasons = [fields_of(reason, self._currency) for reason in explanation.reasons]
        rest = explanation.rest
        if not has_amounts:
            hidden = [reason for reason in reasons if reason["feature"] in self._in_money]
            rest = rest + sum(reason["effect"] or 0.0 for reason in hidden)
            reasons = [reason for reason in reasons if reason["feature"] not in self._in_money]
        return {
            "reasons": [{name: reason[name] for name in _FIELDS} for reason in reasons],
            "risk_base": explanation.base,
            "risk_rest": rest,
        }
