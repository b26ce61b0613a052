"""Figures of the report of a run: sums, means and counts of scores, a few hundred numbers.

Columns of scores are aggregated here; texts of the scheme are said in a language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stagecast.serving.languages.scheme_words import translation
from stagecast.serving.reports.columns import (
    BANDS,
    STATES,
    by_group,
    codes,
    measured,
    numbers,
    present,
    share_of,
    total,
)
from stagecast.serving.reports.summary import (
    SchemeSummary,
    Stake,
    first_by,
    stake_known,
    stakes,
)
from stagecast.serving.scoring.win_back import LAPSED, win_back

FIRST_CUSTOMERS = 20
TOP_SHARE = 0.8
FEW = 0.3
"""So small a share of the active that holds ``TOP_SHARE`` of the value at risk is worth telling."""
MONEY_COLUMNS = ("spend", "expected_spend", "clv")
LEAST_SHARE = 0.005
"""A stage that nobody is on has no column, unless so large a share is expected on it."""


def headline(scores: pa.Table) -> dict[str, Any]:
    """Return the counts and sums that the report begins with."""
    state = codes(scores, "state", STATES)
    counts = {name: int((state == code).sum()) for code, name in enumerate(STATES)}
    lapsed, active = state == STATES.index(LAPSED), state == STATES.index("active")
    high = int((codes(scores, "churn_band", BANDS) == BANDS.index("high")).sum())
    gone = numbers(scores, "value_gone")
    churn = numbers(scores, "churn_probability")
    return {
        "customers": scores.num_rows,
        "states": [
            {
                "name": name,
                "customers": count,
                "share": share_of(float(count), scores.num_rows) or 0.0,
            }
            for name, count in counts.items()
        ],
        "active": counts["active"],
        "high": high,
        "high_share": share_of(high, counts["active"]),
        "likely_leavers": total(churn) or 0.0,
        "mean_risk": measured(churn, np.mean),
        "value_gone": total(gone[lapsed]),
        "may_return": total(win_back(lapsed, gone, numbers(scores, "p_return"))),
        # of the active alone, beside those of them who are expected to leave
        "value_at_risk": total(numbers(scores, "value_at_risk")[active]),
        **{name: total(numbers(scores, name)) for name in ("expected_spend", "expected_orders")},
        "has_orders": bool((numbers(scores, "orders") > 0).any()),
        "low_data": int(pc.sum(scores["low_data"]).as_py() or 0),
    }


def has_money(scores: pa.Table) -> bool:
    """Return whether any customer has an amount."""
    return any(total(numbers(scores, name)) is not None for name in MONEY_COLUMNS)


def first_customers(scores: pa.Table) -> list[dict[str, Any]]:
    """Return the active customers with most at stake, with ``at_stake``: money or, where no amount
    can rank them, the orders so far times the churn probability; this alone of members who order
    nothing.
    """
    at_stake, orders = stakes(scores), numbers(scores, "orders")
    if stake_known(scores) is Stake.PROBABILITY and (orders[~np.isnan(at_stake)] > 0).any():
        at_stake = at_stake * orders
    return first_by(scores, at_stake, FIRST_CUSTOMERS)


def stage_rows(scheme: SchemeSummary, scores: pa.Table, language: str) -> list[dict[str, Any]]:
    """Return the stages of a scheme, and any other that a customer is on, with their figures.

    ``expected`` is how many customers are expected on a stage at the end of the horizon.
    """
    known = {stage["id"]: stage for stage in scheme.stages}
    ids = [*known, *sorted(set(present(scores, "stage")) - set(known))]
    rows = by_group(scores, "stage", ids)
    for row in rows:
        stage = known.get(row["id"], {})
        row["title"] = _said(stage.get("title"), language) or row["id"]
        for name in ("meaning", "action"):
            row[name] = _said(stage.get(name), language)
        row["state"], row["rule"] = stage.get("state", "active"), list(stage.get("rule", []))
        row["is_active"], row["change"] = row["state"] == "active", None
        chance = f"p_stage_{row['id']}"
        row["expected"] = total(numbers(scores, chance)) if chance in scores.column_names else None
    return rows


def play_rows(
    scheme: SchemeSummary, scores: pa.Table, language: str, as_stage: str
) -> list[dict[str, Any]]:
    """Return the plays that some customer has, those with the most money first: what is expected
    to be lost with the active (``value_at_risk``), and what may return of the lapsed.

    Parameters
    ----------
    as_stage
        What to do where a play has no action of its own.
    """
    ids = [play["id"] for play in scheme.plays]
    figures = by_group(scores, "play", ids)
    of_rows, state = codes(scores, "play", ids), codes(scores, "state", STATES)
    at_risk = np.where(state == STATES.index("active"), numbers(scores, "value_at_risk"), np.nan)
    is_lapsed = state == STATES.index(LAPSED)
    returning = win_back(is_lapsed, numbers(scores, "value_gone"), numbers(scores, "p_return"))
    rows = [
        {
            "play": play["id"],
            "title": _said(play["title"], language),
            "action": _said(play.get("action"), language) or as_stage,
            "contact": play.get("contact", True),
            "customers": row["customers"],
            "value_at_risk": total(at_risk[of_rows == code]),
            "may_return": total(returning[of_rows == code]),
        }
        for code, (row, play) in enumerate(zip(figures, scheme.plays, strict=True))
        if row["customers"]
    ]

    def money(row: Mapping[str, Any]) -> float:
        return float(row["value_at_risk"] or 0.0) + float(row["may_return"] or 0.0)

    return sorted(rows, key=lambda row: (-money(row), -row["customers"]))


def _said(texts: Any, language: str) -> str:
    if isinstance(texts, Mapping):
        return translation(texts, language, "")
    return str(texts or "")


def expected_stages(stages: Sequence[Mapping[str, Any]], scores: pa.Table) -> dict[str, Any]:
    """Return the mean probability of each stage at the end of the horizon, by present stage."""
    place = codes(scores, "stage", [stage["id"] for stage in stages])
    known = [stage for stage in stages if f"p_stage_{stage['id']}" in scores.column_names]
    chances = [numbers(scores, f"p_stage_{stage['id']}") for stage in known]
    rows = [
        {**stage, "means": [float(chance[place == code].mean()) for chance in chances]}
        for code, stage in enumerate(stages)
        if stage["customers"]
    ]
    shown = [
        n
        for n, to in enumerate(known)
        if to["customers"] or any(row["means"][n] >= LEAST_SHARE for row in rows)
    ]
    return {
        "to": [known[n] for n in shown],
        "rows": [row | {"means": [row["means"][n] for n in shown]} for row in rows],
    }


def holders(scores: pa.Table) -> dict[str, Any] | None:
    """Return how many of the active hold ``TOP_SHARE`` of the value at risk; None without any."""
    if stake_known(scores) is not Stake.VALUE_AT_RISK:
        return None
    value = stakes(scores)
    value = np.sort(value[~np.isnan(value)])[::-1]
    whole = float(value.sum())
    if whole <= 0:
        return None
    running = np.r_[0.0, np.cumsum(value)] / whole
    count = min(int(np.searchsorted(running, TOP_SHARE)), len(value))
    share = count / len(value)
    return {"customers": count, "share": share, "few": share <= FEW}


def segment_rows(scores: pa.Table) -> list[dict[str, Any]]:
    """Return the RFM segments, those with most value at risk first."""
    rows = by_group(scores, "rfm_segment", sorted(present(scores, "rfm_segment")))
    return sorted(rows, key=lambda row: (-(row["value_at_risk"] or 0.0), -row["customers"]))
