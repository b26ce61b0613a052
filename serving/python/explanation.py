"""Why the risk of one customer is as it is, in words and as numbers that add up."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stagecast.features.errors import UsageError
from stagecast.features.shop.customer_ids import customer_id_text, hint_of_id

if TYPE_CHECKING:
    import pyarrow as pa

_REASONS = ["sentence", "feature", "value", "usual", "direction", "effect", "code"]


@dataclass(frozen=True, repr=False)
class CustomerExplanation:
    """Why one customer's risk is as it is.

    ``log odds of the risk = base + effects of the reasons + rest``

    Parameters
    ----------
    customer_id, stage, stage_rule, state
        Of the score.
    risk
        P(no purchase, or a cancellation, within the horizon); NaN for a customer who has not
        bought yet.
    reasons
        A row for each reason, what raises the risk first: ``sentence``, ``feature``, ``value``,
        ``usual`` (what it is compared with), ``direction``, ``effect`` (on the log odds), ``code``.
    base
        Log odds of the average active customer; NaN where no model gave the risk.
    rest
        What base and effects leave of the log odds.
    horizon_days
        Days that the risk speaks of.
    """

    customer_id: str
    state: str
    stage: str
    stage_rule: str
    risk: float
    reasons: pd.DataFrame
    base: float
    rest: float
    horizon_days: int

    @property
    def effects(self) -> pd.Series:
        """Base, effect of each reason and rest; their sum is the log odds of the risk."""
        known = self.reasons["effect"].notna()
        effects = self.reasons.loc[known, ["code", "effect"]]
        names = ["base", *effects["code"], "rest"]
        values = [self.base, *effects["effect"], self.rest]
        return pd.Series(values, pd.Index(names, name="part"), "float64", name="effect")

    @property
    def log_odds(self) -> float:
        """Sum of the effects; NaN where no model gave the risk."""
        return float(self.effects.sum(skipna=False))

    def __repr__(self) -> str:
        lines = [f"customer {self.customer_id}: {self.stage} ({self.stage_rule})"]
        if not np.isnan(self.risk):
            lines.append(f"risk in {self.horizon_days} days: {self.risk:.1%}")
        for direction, title in (("raises", "raises the risk"), ("lowers", "speaks against it")):
            rows = self.reasons[self.reasons["direction"] == direction]
            lines += [f"  {title}: {sentence}" for sentence in rows["sentence"]]
        if self.reasons.empty:
            lines.append("  no reasons: nothing differs from what is usual")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = escape(f"customer {self.customer_id}: {self.stage} ({self.stage_rule})")
        risk = "" if np.isnan(self.risk) else f", risk in {self.horizon_days} days {self.risk:.1%}"
        table = self.reasons[["direction", "sentence", "effect"]]
        return f"<p>{head}{risk}</p>{table.to_html(index=False, float_format='{:+.2f}'.format)}"


def explanation_of(scores: pa.Table, customer_id: object) -> CustomerExplanation:
    """Return the explanation that stands in the scores of one customer.

    Raises
    ------
    UsageError
        There is no such customer.
    """
    import pyarrow.compute as pc

    wanted = customer_id_text(customer_id, "customer_id")
    rows = scores.filter(pc.equal(scores["customer_id"], wanted)).to_pylist()
    if not rows:
        ids = scores["customer_id"].slice(0, 100_000).to_pylist()
        raise UsageError(f"customer_id {wanted!r} has no score.{hint_of_id(wanted, ids)}")
    row: dict[str, Any] = rows[0]
    reasons = pd.DataFrame(row["reasons"] or [], columns=_REASONS)
    for name in ("value", "usual", "effect"):
        reasons[name] = reasons[name].astype("float64")
    return CustomerExplanation(
        row["customer_id"],
        row["state"],
        row["stage"],
        row["stage_rule"],
        _number(row["p_inactive"]),
        reasons,
        _number(row["risk_base"]),
        _number(row["risk_rest"]),
        row["horizon_days"],
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
