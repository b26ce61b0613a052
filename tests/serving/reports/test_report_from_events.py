"""Facts of reasons and figures of a report, worked out from the events of a log with refunds by
code that shares nothing with the package.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pytest

import stagecast as sc

pytestmark = pytest.mark.slow

START = datetime(2023, 1, 1, tzinfo=UTC)
DAYS, CUSTOMERS, HORIZON_DAYS = 420, 180, 60
AS_OF = START + timedelta(days=DAYS)


def returning_goods() -> pd.DataFrame:
    """Return orders of customers who give a third of them back: whole, in part, late, or more."""
    rng = np.random.default_rng(20261130)
    rows = []
    for number in range(CUSTOMERS):
        at, end = rng.uniform(0, 250), rng.exponential(400.0)
        gap, first = rng.uniform(8, 70), True
        while at < DAYS - 1 and (first or at < end):
            first = False
            amount = round(float(rng.lognormal(3.3, 0.6)), 2)
            rows.append((f"c{number:03}", at, "purchase", amount))
            if rng.random() < 0.33:
                part = rng.choice([1.0, 0.5, 1.7])
                back = min(at + rng.choice([0.01, 3.0, 40.0]), DAYS - 0.5)
                rows.append((f"c{number:03}", back, "refund", round(amount * part, 2)))
            at += max(0.3, rng.gamma(2, gap / 2))
    frame = pd.DataFrame(rows, columns=["customer_id", "at", "event", "amount"])
    frame["timestamp"] = [START + timedelta(days=float(at)) for at in frame.pop("at")]
    return frame.sort_values("timestamp", ignore_index=True)


@dataclass
class Past:
    """What is left of a customer's purchases, by day since the start."""

    days: list[int]
    spend: list[float]
    bought: float
    refunded: float

    def facts(self) -> dict[str, float]:
        """Return the facts that reasons name; those that do not exist are left out."""
        if not self.days:
            return {}
        ages = [DAYS - day for day in self.days]
        facts = {
            "orders": float(len(ages)),
            "recency_days": float(ages[-1]),
            "T_days": float(ages[0]),
            "spend_mean": sum(self.spend) / len(ages),
            "orders_90d": float(sum(age <= 90 for age in ages)),
            "orders_prev_90d": float(sum(90 < age <= 180 for age in ages)),
            "refund_share": self.refunded / self.bought,
            "activity_30d": 0.0,
        }
        if len(ages) > 1:
            facts["gap_mean"] = (ages[0] - ages[-1]) / (len(ages) - 1)
        return facts


def pasts(events: pd.DataFrame) -> dict[str, Past]:
    """Return the past of each customer: a refund takes back what was bought last."""
    by_day: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))
    for row in events.itertuples():
        by_day[row.customer_id][(row.timestamp - START).days][row.event == "refund"] += row.amount
    result = {}
    for customer, days in by_day.items():
        bought: list[list[float]] = []
        for day in sorted(days):
            paid, back = days[day]
            if paid:
                bought.append([day, paid])
            for purchase in reversed(bought):
                taken = min(back, purchase[1])
                purchase[1], back = purchase[1] - taken, back - taken
        left = [(int(day), money) for day, money in bought if money > 1e-9]
        paid, back = (sum(both[side] for both in days.values()) for side in (0, 1))
        result[customer] = Past([d for d, _ in left], [m for _, m in left], paid, back)
    return result


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return returning_goods()


@pytest.fixture(scope="module")
def run(events: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("returns") / "run"
    config = sc.TrainConfig(horizon_days=HORIZON_DAYS)
    sc.run(sc.read_events(events), folder, config, as_of=AS_OF)
    return folder


@pytest.fixture(scope="module")
def scores(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "scores.parquet").set_index("customer_id")


def test_refunds_of_every_kind_are_in_the_log(events: pd.DataFrame) -> None:
    past = pasts(events)
    orders = events[events.event == "purchase"].groupby("customer_id").timestamp
    days = orders.agg(lambda at: at.dt.floor("D").nunique())
    taken_back = [c for c, p in past.items() if len(p.days) < days[c]]
    assert len(taken_back) > 30
    assert any(not p.days for p in past.values())


def test_facts_of_scores_and_reasons_are_those_of_the_events(
    events: pd.DataFrame, scores: pd.DataFrame
) -> None:
    past = {customer: p.facts() for customer, p in pasts(events).items()}
    assert set(past) == set(scores.index)
    wrong, compared = [], Counter()
    members = scores[scores.orders > 0]
    active = members[members.state == "active"]
    for customer, score in members.iterrows():
        facts = past[customer]
        for name in ("orders", "recency_days"):
            assert score[name] == facts[name], (customer, name)
        assert score.spend == pytest.approx(facts["spend_mean"] * facts["orders"])
        stage = members[members.stage == score.stage].index
        for reason in score.reasons:
            name, _, versus = reason["code"].rpartition(".")
            if name in ("season", "stage", "average"):
                continue
            peers = {"stage": stage, "active": active.index}.get(versus)
            if versus == "own":
                before = {"recency_days": "gap_mean", "orders_90d": "orders_prev_90d"}[name]
                usual = facts[before]
            elif peers is not None:
                usual = median(past[c][name] for c in peers if name in past[c])
            else:
                usual = None
            compared[versus] += 1
            if reason["value"] != pytest.approx(facts[name]) or (
                usual is not None and reason["usual"] != pytest.approx(usual)
            ):
                wrong.append((customer, reason, facts[name], usual))
    assert wrong == []
    assert min(compared["own"], compared["stage"]) > 20


def test_figures_of_the_report_are_those_of_scores_and_events(
    events: pd.DataFrame, run: Path, scores: pd.DataFrame
) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"<(style|script)\b.*?</\1>", " ", page, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", page)))
    active, lapsed = (scores[scores.state == name] for name in ("active", "lapsed"))
    # the lapsed may still be customers, so that they have some value at risk as well
    assert lapsed.value_at_risk.sum() > 1
    leavers = active.churn_probability.sum()
    for tile in (
        f"{len(active)} active customers {leavers:,.0f} of them are expected to place no order "
        f"in the next {HORIZON_DAYS} days "
        f"{active.value_at_risk.sum():,.0f} is expected to be lost as active customers leave",
        f"{(lapsed.value_gone * lapsed.p_return).sum():,.0f} may return",
        f"of {lapsed.value_gone.sum():,.0f} gone",
        f"{scores.expected_spend.sum():,.0f} spend expected in the next {HORIZON_DAYS} days",
    ):
        assert tile in text
    past = pasts(events)
    spent = {c: sum(p.spend) for c, p in past.items()}
    titles = {"Repeat": "repeat", "Loyal": "loyal", "Overdue": "at_risk", "Sleeping": "sleeping"}
    table = text.split("Spent so far", 1)[1]
    for title, stage in titles.items():
        members = scores[scores.stage == stage].index
        money = sum(spent[c] for c in members)
        share = f"{100 * len(members) / len(scores):.0f}%"
        row = rf"\b{title} [^0-9]*? {len(members):,} {share} {money:,.0f} "
        assert re.search(row, table), (title, row)
    orders = Counter(len(p.days) for p in past.values() if p.days)
    went_on = 1 - orders[1] / sum(orders.values())
    first_row = rf"Half within 1 {sum(orders.values())} \S+ {100 * went_on:.0f}%"
    assert re.search(first_row, text)
    kinds = events.groupby("event").amount.sum()
    assert f"Sum of all purchases {kinds['purchase']:,.0f}" in text
    assert f"Refunded {kinds['refund']:,.0f}" in text
