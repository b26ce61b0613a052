"""Lists of real customers with scores of before a date, and what they did after it.

Nobody was contacted, so that the true effect of any hold-out is 0. The scores are means of similar
customers one horizon earlier: P(purchase) and the number of purchase days by recency and frequency,
and the customer's own spend per purchase day, shrunk to that of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stagecast.features.arrays import Array, Integers
from stagecast.features.demo import cdnow_frame
from stagecast.serving.targeting.trial.expected import Expected, expected_buyers, expected_money

ONLINE_RETAIL = Path(__file__).parents[2] / "shared" / "data" / "online_retail_ii.parquet"
DATES = {
    "Online Retail II": ("2010-09-01", "2011-03-01", "2011-09-01"),
    "CDNOW": ("1997-10-01", "1998-01-01", "1998-04-01"),
}
HORIZON = pd.Timedelta(days=90)
RECENCY_DAYS = np.array([15, 30, 60, 90, 180, 365])
PURCHASE_DAYS = np.array([2, 3, 5, 9, 17])
BANDS = np.array([0.2, 0.5])


@dataclass(frozen=True)
class RealList:
    """Customers of a list, one element each.

    Parameters
    ----------
    name
        Log and date.
    purchase
        P(purchase in the window), shape (n,).
    expected_spend
        In the window, in money, shape (n,).
    basket
        Spend per purchase day, in money, shape (n,).
    bought, spend
        Purchase (0 or 1) and money, less refunds, up to each look, shape (n, n_looks).
    """

    name: str
    purchase: Array
    expected_spend: Array
    basket: Array
    bought: Array
    spend: Array

    @property
    def stratum(self) -> Integers:
        """Three bands of P(purchase), shape (n,)."""
        return np.searchsorted(BANDS, self.purchase).astype(np.int64)

    def expected(self, measure: str, cv: float) -> Expected:
        """Return what the power is stated from, for ``buyers`` or ``money``."""
        if measure == "buyers":
            return expected_buyers(self.purchase)
        return expected_money(self.purchase, self.expected_spend, cv)

    def best(self, size: int, random: np.random.Generator) -> RealList:
        """Return a list as a plan picks it: most money of expected leavers, of half of the shop.

        Where half of the shop is too small, of all of it.
        """
        stake = (1 - self.purchase) * self.expected_spend / np.maximum(self.purchase, 0.01)
        if 2 * size < len(stake):
            stake[random.permutation(len(stake)) < len(stake) // 2] = -1.0
        rows = np.sort(np.argsort(-stake, kind="stable")[:size])
        return self._of(rows)

    def sample(self, size: int, random: np.random.Generator) -> RealList:
        """Return customers drawn at random."""
        return self._of(np.sort(random.choice(len(self.purchase), size, replace=False)))

    def _of(self, rows: Integers) -> RealList:
        parts = (self.purchase, self.expected_spend, self.basket, self.bought, self.spend)
        return RealList(self.name, *(part[rows] for part in parts))


def lists(looks: int, path: Path = ONLINE_RETAIL) -> Iterator[RealList]:
    """Yield all customers of each log at each date; Online Retail II where its file is."""
    logs = {"CDNOW": cdnow_frame()[["customer_id", "timestamp", "amount"]]}
    if path.exists():
        logs["Online Retail II"] = online_retail(path)
    for name, log in logs.items():
        for date in DATES[name]:
            yield _scored(f"{name} {date}", log, pd.Timestamp(date), looks)


def online_retail(path: Path) -> pd.DataFrame:
    """Return the lines of customers; cancelled ones carry the money that is given back."""
    lines = pd.read_parquet(path, columns=["Customer ID", "InvoiceDate", "Quantity", "Price"])
    lines = lines[lines["Customer ID"].notna() & (lines["Customer ID"] > 0) & (lines["Price"] > 0)]
    return pd.DataFrame(
        {
            "customer_id": lines["Customer ID"].astype(str),
            "timestamp": lines["InvoiceDate"],
            "amount": lines["Quantity"] * lines["Price"],
        }
    )


def _scored(name: str, log: pd.DataFrame, date: pd.Timestamp, looks: int) -> RealList:
    before, now = (_customers(log, at) for at in (date - HORIZON, date))
    past = _window(log, before.index, date - HORIZON, 1)
    cells = before.assign(bought=past[0][:, -1], days=past[2]).groupby("cell")
    size, overall = cells.size(), (past[0][:, -1].mean(), past[2].mean())
    purchase, days = (
        now["cell"].map((cells[column].sum() + prior) / (size + 1)).fillna(prior).to_numpy(float)
        for column, prior in zip(("bought", "days"), overall, strict=True)
    )
    money = now["basket"].to_numpy(float)
    bought, spend, _ = _window(log, now.index, date, looks)
    return RealList(name, purchase, np.maximum(days, purchase) * money, money, bought, spend)


def _customers(log: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    """Return cell and spend per purchase day of those who had bought before an instant."""
    positive = log[(log["timestamp"] < at) & (log["amount"] > 0)]
    by_day = positive.groupby(["customer_id", positive["timestamp"].dt.floor("D")])["amount"].sum()
    customer = by_day.reset_index().groupby("customer_id")
    table = customer.agg(
        last=("timestamp", "max"), days=("timestamp", "size"), spend=("amount", "sum")
    )
    recency = np.searchsorted(RECENCY_DAYS, (at - table["last"]).dt.days)
    frequency = np.searchsorted(PURCHASE_DAYS, table["days"], side="right")
    usual = float(by_day.median())
    basket = (table["spend"] + 2 * usual) / (table["days"] + 2)
    return table.assign(cell=recency * 10 + frequency, basket=basket)


def _window(
    log: pd.DataFrame, customers: pd.Index[str], start: pd.Timestamp, looks: int
) -> tuple[Array, Array, Array]:
    """Return purchase and net spend up to each look, and the number of purchase days."""
    rows = log[(log["timestamp"] >= start) & (log["timestamp"] < start + HORIZON)]
    code = customers.get_indexer(rows["customer_id"])
    rows, code = rows[code >= 0], code[code >= 0]
    look = ((rows["timestamp"] - start) / HORIZON * looks).to_numpy().astype(np.int64)
    amount = rows["amount"].to_numpy(np.float64)
    n, cell = len(customers), code * looks + look
    spend = np.bincount(cell, amount, n * looks).reshape(n, looks).cumsum(axis=1)
    bought = np.bincount(cell, amount > 0, n * looks).reshape(n, looks).cumsum(axis=1) > 0
    positive = pd.DataFrame({"code": code, "day": rows["timestamp"].dt.floor("D").to_numpy()})
    distinct = positive[amount > 0].drop_duplicates()["code"].to_numpy(np.int64)
    days = np.bincount(distinct, minlength=n).astype(np.float64)
    return bought.astype(np.float64), spend, days
