"""The numbers of pages, worked out from scores by code that shares nothing with the pages.

A page is read as a person reads it: its text without days, ids and names of models. Each number in
it must be one that the scores give. So a number that is wrong, stale or of another filter is found
wherever it stands.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import unescape
from typing import Any

Score = Mapping[str, Any]

_NUMBER = re.compile(r"[<>]?[+−]?\d[\d,]*(?:\.\d+)?%?")
PLAY_LIMITS = {"2%", "10%", "33%", "50%", "67%", "20"}
"""Limits that the conditions of the plays of the scheme retail name."""
_NOT_READ = (
    r"<(style|script|title|head|nav class=\"languages\")\b.*?</\1>",
    r"<code.*?</code>",
    r"<bdi.*?</bdi>",
    r"<time.*?</time>",
    r"<option.*?</option>",
    r"<span popover.*?</span>",
    r"<[^>]*>",
    r"\b([0-9a-f]{12}|retail-\d{8})\b",
    r"[RF] \d( (or|to) \d)?",
    r"\d{4}-\d{2}-\d{2}",
)


def numbers_of(page: str) -> list[str]:
    """Return the numbers that a reader sees on an English page, each as it is written."""
    text = re.sub(r'<span class="unseen">Choose .*?</span>', " ", page)
    for pattern in _NOT_READ:
        text = re.sub(pattern, " ", text, flags=re.DOTALL)
    return [token.rstrip(",") for token in _NUMBER.findall(unescape(text))]


def money(value: float) -> str:
    """Return an amount as it is written: with cents below ten."""
    cents = 0 < abs(value) < 9.995
    return f"{value:,.2f}" if cents else f"{abs(value):,.0f}" if value >= 0 else f"−{-value:,.0f}"


def share(p: float) -> str:
    """Return a probability as it is written."""
    if 0 < p < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= p < 1 else f"{100 * p:.0f}%"


def number(value: float) -> str:
    """Return a measure as it is written: without zeros at its end."""
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:,.0f}"


def summed(scores: Iterable[Score], name: str) -> float | None:
    """Return the sum of a column over scores; None where none has a value."""
    values = [score[name] for score in scores if score.get(name) is not None]
    return math.fsum(values) if values else None


def likely_return(scores: Iterable[Score]) -> float | None:
    """Return what may return of the lapsed, in money."""
    parts = [
        s["value_gone"] * s["p_return"]
        for s in scores
        if s["state"] == "lapsed" and None not in (s.get("value_gone"), s.get("p_return"))
    ]
    return math.fsum(parts) if parts else None


def lost(scores: Iterable[Score]) -> float | None:
    """Return what is expected to be lost with the active, in money."""
    return summed([s for s in scores if s["state"] == "active"], "value_at_risk")


def _moneys(*values: float | None) -> set[str]:
    return {money(value) for value in values if value is not None}


def stage_cards(scores: Sequence[Score]) -> set[str]:
    """Return the numbers of the strip of stages, which is on Home and above the list."""
    of_stage = Counter(score["stage"] for score in scores)
    worth = [
        summed([s for s in scores if s["stage"] == stage], "value_at_risk") for stage in of_stage
    ]
    return {"0", *(number(n) for n in of_stage.values()), *_moneys(*worth)}


def expected_on(scores: Iterable[Score]) -> dict[str, float]:
    """Return stage -> the sum of its probability at the end of the horizon."""
    sums: dict[str, list[float]] = {}
    for score in scores:
        for name, value in score.items():
            if name.startswith("p_stage_"):
                sums.setdefault(name.removeprefix("p_stage_"), []).append(value)
    return {stage: math.fsum(values) for stage, values in sums.items()}


def forecast(scores: Iterable[Score]) -> set[str]:
    """Return the customers expected on each stage, as they are written."""
    return {expected(value) for value in expected_on(scores).values()}


def expected(value: float) -> str:
    """Return an expected number of customers as it is written."""
    return f"{value:,.{0 if value >= 9.95 else 1 if value >= 0.1 else 2}f}"


def plays(scores: Sequence[Score]) -> set[str]:
    """Return the counts of the plays, what is expected to be lost with the active of each, and what
    may return of its lapsed.
    """
    by_play: dict[str, list[Score]] = {}
    for score in scores:
        if score.get("play"):
            by_play.setdefault(score["play"], []).append(score)
    return {number(len(part)) for part in by_play.values()} | _moneys(
        *(lost(part) for part in by_play.values()),
        *(likely_return(part) for part in by_play.values()),
    )


def home(scores: Sequence[Score]) -> set[str]:
    """Return the numbers of Home for scores without a run before."""
    active = [s for s in scores if s["state"] == "active"]
    lapsed = [s for s in scores if s["state"] == "lapsed"]
    leavers = math.fsum(s["churn_probability"] for s in active)
    return {
        number(len(active)),
        f"{leavers:,.0f}",
        *_moneys(summed(active, "value_at_risk"), likely_return(scores)),
        *_moneys(summed(lapsed, "value_gone")),
        *stage_cards(scores),
        *forecast(scores),
        *plays(scores),
        *grid(scores),
        number(scores[0]["horizon_days"]),
    }


def grid(scores: Sequence[Score]) -> set[str]:
    """Return the numbers of risk and value of the active: fifth, rest of the half, lower half."""
    rated = [s for s in scores if s["churn_band"] is not None and s["clv"] is not None]
    if not rated:
        return set()
    ranked = sorted((s["clv"] for s in rated), reverse=True)
    fifth, half = (ranked[min(int(part * len(ranked)), len(ranked) - 1)] for part in (0.2, 0.5))
    cells: dict[tuple[str, int], list[Score]] = {}
    for s in rated:
        place = 0 if s["clv"] > fifth else 1 if s["clv"] > half else 2
        cells.setdefault((s["churn_band"], place), []).append(s)
    return {number(len(part)) for part in cells.values()} | _moneys(
        *(summed(part, "value_at_risk") for part in cells.values())
    )


def ranked(scores: Sequence[Score], name: str) -> list[Score]:
    """Return scores with the largest value first, those without one last, ties by id."""
    return sorted(
        scores,
        key=lambda s: (s[name] is None, -(s[name] or 0.0), s["customer_id"]),
    )


def row(score: Score) -> set[str]:
    """Return the numbers of a row of the list, of its reasons among them."""
    parts = _moneys(*(score[n] for n in ("value_at_risk", "value_gone", "clv")))
    parts |= _moneys(score["clv_low"], score["clv_high"], likely_return([score]))
    for name in ("churn_probability", "p_return", "p_convert"):
        if score[name] is not None:
            parts.add(share(score[name]))
    if score["recency_days"] is not None:
        parts.add(f"{score['recency_days']:,.0f}")
    return parts | overdue(score) | reasons(score)


def overdue(score: Score) -> set[str]:
    """Return the usual gap and the days overdue in whole days, which add up to the silence."""
    gap, silence = score.get("usual_gap_days"), score["recency_days"]
    if gap is None or silence is None:
        return set()
    whole = max(round(gap), 1)
    return {f"{whole:,}", f"{max(round(silence) - whole, 0):,}"}


def reasons(score: Score) -> set[str]:
    """Return the numbers that the reasons of a score can be said with."""
    parts: set[str] = set()
    for reason in score["reasons"] or ():
        if reason["effect"] is not None:
            parts.add(f"{reason['effect']:+.2f}".replace("-", "−"))
        for value in (reason["value"], reason["usual"]):
            if value is not None and not math.isnan(value):
                parts |= {number(value), f"{value:,.0f}", f"{value:,.1f}", share(value)}
                parts |= {money(value), *re.findall(r"\d+", f"{value:.0f}")}
        parts |= set(_NUMBER.findall(reason.get("label") or ""))
        parts |= set(_NUMBER.findall(reason.get("sentence") or ""))
    return parts | {"30", "90"}  # the days that features count over


def customers(scores: Sequence[Score], passing: Sequence[Score], listed: int = 50) -> set[str]:
    """Return the numbers of the list: of all its parts, for those who pass its filters."""
    money_column = "value_at_risk" if summed(scores, "clv") is not None else "churn_probability"
    rows = ranked(passing, money_column)[:listed]
    return {
        number(len(passing)),
        "1",
        number(len(rows)),
        number(scores[0]["horizon_days"]),
        *_moneys(summed(passing, "value_at_risk"), summed(passing, "clv")),
        *_moneys(summed([s for s in passing if s["state"] == "active"], "value_at_risk")),
        *_moneys(likely_return(passing)),
        *_moneys(summed([s for s in passing if s["state"] == "lapsed"], "value_gone")),
        *stage_cards(scores),
        *plays(scores),
        *(part for score in rows for part in row(score)),
    }


def customer(score: Score) -> set[str]:
    """Return the numbers of the page of a customer without a score before."""
    names = ("value_at_risk", "value_gone", "clv", "clv_low", "clv_high", "expected_spend")
    names += ("expected_spend_low", "expected_spend_high", "spend", "monetary")
    parts = row(score) | _moneys(*(score.get(name) for name in names))
    for name in ("p_alive", "p_inactive", "churn_probability"):
        if score[name] is not None:
            parts |= {share(score[name]), share(1 - score[name]), f"{100 * score[name]:.1f}%"}
    if score["churn_percentile"] is not None:
        parts.add(share(score["churn_percentile"] / 100))
    parts |= {share(value) for name, value in score.items() if name.startswith("p_stage_")}
    parts |= set(_NUMBER.findall(score["stage_rule"]))
    parts |= {number(score["expected_orders"]), number(score["orders"]), "90"}
    parts |= {f"{score[n]:,.0f}" for n in ("tenure_days", "horizon_days")}
    parts |= set(re.findall(r"\d+", score["rfm"] or "")) | usual_gap(score)
    return parts | steps(score) | PLAY_LIMITS


def usual_gap(score: Score) -> set[str]:
    """Return the usual gap in days: the silence over what the rule says it is in gaps."""
    ratio = re.search(r"overdue_ratio ([\d.]+) is", score["stage_rule"])
    gaps = [r["usual"] for r in score["reasons"] or () if r["feature"] == "recency_days"]
    if ratio and float(ratio[1]) > 0 and score["recency_days"] is not None:
        gaps.append(score["recency_days"] / float(ratio[1]))
    return {f"{gap:,.0f}" for gap in gaps if gap is not None and not math.isnan(gap)}


def steps(score: Score) -> set[str]:
    """Return how the risk comes about, from the average in log odds, in points."""
    if score.get("risk_base") is None or not score["reasons"]:
        return set()
    odds = score["risk_base"]
    parts, before = {f"{100 / (1 + math.exp(-odds)):.1f}%"}, 1 / (1 + math.exp(-odds))
    effects = [r["effect"] for r in score["reasons"]]
    if any(effect is None for effect in effects):
        return set()
    for effect in (*effects, score["risk_rest"]):
        odds += effect
        now = 1 / (1 + math.exp(-odds))
        move = f"{abs(now - before) * 100:.1f}"
        parts |= {move, f"{'+' if now > before else '−'}{move}", f"{effect:+.2f}", f"{effect:.2f}"}
        before = now
    parts |= {f"{value:+.2f}" for value in (*effects, score["risk_base"], score["risk_rest"])}
    return {part.replace("-", "−") for part in parts} | {f"{100 * before:.1f}%"}


def unexplained(page: str, known: set[str]) -> list[str]:
    """Return the numbers of a page that the scores do not give."""
    plain = {part.lstrip("+") for part in known}
    return [token for token in numbers_of(page) if token.lstrip("+") not in plain]


def plan(members: Sequence[Score], horizon_days: int, contact_cost: float) -> set[str]:
    """Return the numbers of a plan of the contacted without offers, at the effects assumed.

    Parameters
    ----------
    members
        Scores of the contacted.
    horizon_days
        The window.
    contact_cost
        In money.
    """
    gone = math.fsum(s["value_gone"] or 0.0 for s in members)
    risk = math.fsum(s["value_at_risk"] or 0.0 for s in members)
    back, saved = 0.02 * gone, 0.05 * risk
    gross = back + saved
    leavers = math.fsum(1.0 if s["p_inactive"] is None else s["p_inactive"] for s in members)
    cost = contact_cost * len(members)
    return {
        number(len(members)),
        f"{leavers:,.0f}",
        f"{len(members) - leavers:,.0f}",
        number(horizon_days),
        *_moneys(gross, cost, gross - cost, lost(members), likely_return(members)),
        *_moneys(gone, risk, back, saved),
    }


def check(address: str, scores: Sequence[Score], pages: int = 20) -> dict[str, list[str]]:
    """Return page -> numbers that the scores do not give, of a server that shows these scores.

    Parameters
    ----------
    address
        Of the server.
    scores
        Of its current run, which has no run before.
    pages
        How many customers are opened, those with the most at risk first.
    """
    from urllib.parse import quote

    import httpx

    def read(path: str) -> str:
        answer = httpx.get(address + path, timeout=60, headers={"Accept-Language": "en"})
        return answer.raise_for_status().text.split("<main")[1]

    active = [s for s in scores if s["state"] == "active"]
    lapsed = [s for s in scores if s["state"] == "lapsed"]
    wrong = {
        "/": unexplained(read("/"), home(scores)),
        "/customers": unexplained(read("/customers"), customers(scores, scores)),
        "active": unexplained(read("/customers?state=active"), customers(scores, active)),
    }
    for score in (*ranked(scores, "value_at_risk")[:pages], *lapsed[:pages]):
        path = f"/customers/{quote(score['customer_id'], safe='')}"
        wrong[path] = unexplained(read(path), customer(score))
    return {path: numbers for path, numbers in wrong.items() if numbers}


if __name__ == "__main__":
    import sys

    import pyarrow.parquet as pq

    for _path, _numbers in check(sys.argv[1], pq.read_table(sys.argv[2]).to_pylist()).items():
        pass
