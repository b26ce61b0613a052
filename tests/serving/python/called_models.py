"""How models of purchases, charts and settings of members are called; see ``called``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd

import stagecast as sc
from tests.serving.python.arguments import (
    CHOICE,
    DAYS,
    FLAG,
    ID,
    LENGTH,
    LIST,
    MODEL,
    MONEY,
    OBJECT,
    PATH,
    TABLE,
    TABLE_OR_LOG,
    TEXT,
    TEXTS,
    TIME,
    WHOLE,
    Called,
    Kind,
    World,
)

PRESENT = date(2021, 3, 21)


def drawn(chart: Any) -> Any:
    """Return what a chart shows: titles and rows of all its layers."""
    return list(_parts(chart))


def _parts(chart: Any) -> Iterator[Any]:
    for name in ("title", "data"):
        part = getattr(chart, name, None)
        if hasattr(part, "to_dict"):
            yield part.to_dict(validate=False)
    for name in ("layer", "vconcat"):
        layers = getattr(chart, name, None)
        for part in layers if isinstance(layers, list) else ():
            yield from _parts(part)


def a_model(cls: Any) -> dict[str, Called]:
    """Return how a model of purchases is called."""
    name = cls.__name__
    fit = {"X": TABLE}
    return {
        name: Called(
            lambda w, **k: cls(**k).fit(w.table), {"time_unit": CHOICE, "covariance": CHOICE}
        ),
        f"{name}.fit": Called(
            lambda w, **k: cls().fit(k["X"]).summary, fit, lambda w: {"X": w.table}
        ),
    }


def of_purchases(method: str, **kinds: Kind) -> Called:
    def right(w: World) -> dict[str, Any]:
        return {"X": w.table, "horizon": 30}

    def call(w: World, **k: Any) -> Any:
        given = {name: k.get(name, right(w)[name]) for name in ("X", "horizon") if name in kinds}
        values = getattr(w.bought, method)(
            **given, **{n: v for n, v in k.items() if n not in given}
        )
        return pd.Series(pd.Series(values).to_numpy())

    return Called(call, kinds, right)


def purchase_calls(w: World) -> dict[str, Any]:
    return {"purchases": w.purchases, "as_of": date(2021, 4, 1), "fitted_until": date(2021, 2, 1)}


ORDER = Kind(TEXTS.forms, (3, [3], "nonesuch", ["loyal"], []))
COLUMN = Kind(TEXT.forms, (3, "nonesuch"))

OF_MODELS: dict[str, Called] = {
    "SnapshotSplit": Called(
        lambda w, **k: [
            found.tolist()
            for pair in sc.SnapshotSplit(**({"gap": "30d"} | k)).split(
                [0] * 3,
                groups=pd.DataFrame(
                    {"as_of": ["2021-01-01", "2021-03-01", "2021-05-01"], "customer_id": [1, 2, 3]}
                ),
            )
            for found in pair
        ],
        {
            "gap": DAYS,
            "n_splits": WHOLE,
            "customer_folds": Kind(WHOLE.forms, ("3", 2.5, [3], True)),
        },
        lambda w: {"gap": 30, "n_splits": 1},
    ),
    "SnapshotSplit.split": Called(
        lambda w, **k: [
            found.tolist() for pair in sc.SnapshotSplit("30d").split([0] * 3, **k) for found in pair
        ],
        {"groups": Kind(TABLE.forms, (["x"] * 3,))},
        lambda w: {"groups": pd.DataFrame({"as_of": ["2021-01-01", "2021-03-01", "2021-05-01"]})},
    ),
    "Btyd": Called(lambda w, **k: sc.Btyd(**k), {"models": TEXTS, "regular_gaps": FLAG}),
    "Hazard": Called(lambda w, **k: sc.Hazard(**k), {"weight": MONEY}),
    "Regression": Called(
        lambda w, **k: sc.Regression(**k), {"penalty": MONEY, "rfm_penalty": MONEY}
    ),
    "Trees": Called(
        lambda w, **k: sc.Trees(**k),
        {
            **dict.fromkeys(("leaves", "min_child_samples", "n_estimators"), WHOLE),
            **dict.fromkeys(("learning_rate", "reg_lambda", "colsample_bytree"), MONEY),
            "subsample": MONEY,
        },
    ),
    "datasets.load_cdnow": Called(
        lambda w, **k: sc.datasets.load_cdnow(**k), {"sample": FLAG}, lambda w: {"sample": True}
    ),
    "datasets.make_subscriptions": Called(
        lambda w, **k: sc.datasets.make_subscriptions(**({"customers": 3} | k))[0],
        {"customers": WHOLE, "days": WHOLE, "price": MONEY, "seed": WHOLE},
        lambda w: {"customers": 4, "days": 40, "price": 5.0, "seed": 2},
    ),
    "member": Called(lambda w, **k: sc.member(**k), {"estimator": OBJECT}),
    "plot.alive_matrix": Called(
        lambda w, **k: drawn(sc.plot.alive_matrix(**({"model": w.bought, "T": 21} | k))),
        {"model": MODEL, "T": LENGTH, "max_frequency": WHOLE},
        lambda w: {"T": 20, "max_frequency": 4},
    ),
    "plot.frequency_recency": Called(
        lambda w, **k: sc.plot.frequency_recency(**({"model": w.bought, "T": 21} | k)).to_dict(
            validate=False
        ),
        {"model": MODEL, "T": LENGTH, "max_frequency": WHOLE, "horizon": LENGTH},
        lambda w: {"T": 20, "max_frequency": 4, "horizon": 30},
    ),
    "plot.calibration": Called(
        lambda w, **k: sc.plot.calibration(**({"y_true": [0, 1] * 9, "p": [0.2, 0.7] * 9} | k)),
        {"p": Kind(LIST.forms, ("x", ["x"] * 18)), "bins": WHOLE},
    ),
    "plot.stages": Called(
        lambda w, **k: drawn(sc.plot.stages(**({"table": w.flows.stock} | k))),
        {"table": TABLE, "order": ORDER},
        lambda w: {"table": w.flows.stock},
    ),
    "plot.flows": Called(
        lambda w, **k: drawn(sc.plot.flows(**({"table": w.flows.moved} | k))),
        {"table": TABLE, "order": ORDER},
        lambda w: {"table": w.flows.moved},
    ),
    "plot.cohorts": Called(
        lambda w, **k: drawn(sc.plot.cohorts(**k)),
        {"table": TABLE},
        lambda w: {"table": w.flows.cohorts},
    ),
    "plot.customer": Called(
        lambda w, **k: drawn(
            sc.plot.customer(**({"model": w.bought, "purchases": w.rows, "customer_id": 17} | k))
        ),
        {
            "model": MODEL,
            "purchases": Kind(TABLE.forms, (3, "x")),
            "as_of": TIME,
            "customer_id": ID,
            "customer": COLUMN,
            "time": COLUMN,
        },
        lambda w: {"purchases": w.rows, "as_of": PRESENT, "customer_id": "17"},
    ),
    "plot.holdout": Called(
        lambda w, **k: sc.plot.holdout(
            **({"frequency": [1, 2], "actual": [1, 2], "expected": [1.5, 2]} | k)
        ),
        {
            **dict.fromkeys(("frequency", "actual", "expected"), Kind(LIST.forms, ("x", ["x"]))),
            "max_frequency": WHOLE,
        },
    ),
    "plot.tracking": Called(
        lambda w, **k: drawn(
            sc.plot.tracking(
                **({"data": w.bought, "purchases": w.rows, "fitted_until": "2021-02-01"} | k)
            )
        ),
        {
            "purchases": TABLE_OR_LOG,
            "fitted_until": TIME,
            "period": LENGTH,
            "customer": COLUMN,
            "time": COLUMN,
        },
        lambda w: {"purchases": w.rows, "fitted_until": date(2021, 2, 1), "period": 14},
    ),
    "purchase_summary": Called(
        lambda w, **k: sc.purchase_summary(**({"purchases": w.rows} | k)),
        {
            "purchases": Kind(TABLE.forms, (3, "x", None)),
            "as_of": TIME,
            **dict.fromkeys(("customer", "time", "amount"), COLUMN),
        },
        purchase_calls,
    ),
    "tracking_table": Called(
        lambda w, **k: sc.tracking_table(
            **({"model": w.bought, "purchases": w.rows, "fitted_until": "2021-02-01"} | k)
        ),
        {
            "model": MODEL,
            "purchases": TABLE_OR_LOG,
            "fitted_until": TIME,
            "period": LENGTH,
            "customer": COLUMN,
            "time": COLUMN,
        },
        lambda w: {"purchases": w.rows, "fitted_until": date(2021, 2, 1), "period": 14},
    ),
    **a_model(sc.BetaGeo),
    **a_model(sc.ModifiedBetaGeo),
    **a_model(sc.ParetoNBD),
    "GammaGamma": Called(lambda w, **k: sc.GammaGamma(**k).fit(w.table), {"covariance": CHOICE}),
    "GammaGamma.fit": Called(
        lambda w, **k: sc.GammaGamma().fit(k["X"]).summary, {"X": TABLE}, lambda w: {"X": w.table}
    ),
    "BetaGeo.p_alive": of_purchases("p_alive", X=TABLE),
    "BetaGeo.p_no_purchase": of_purchases("p_no_purchase", X=TABLE, horizon=LENGTH),
    "BetaGeo.expected_purchases": of_purchases("expected_purchases", X=TABLE, horizon=LENGTH),
    "BetaGeo.expected_purchases_discounted": of_purchases(
        "expected_purchases_discounted", X=TABLE, horizon=LENGTH, annual_rate=MONEY
    ),
    "BetaGeo.expected_purchases_new": of_purchases("expected_purchases_new", horizon=LENGTH),
    "BetaGeo.save": Called(lambda w, **k: w.bought.save(**k), {"path": PATH}),
    "BetaGeo.load": Called(lambda w, **k: sc.BetaGeo.load(**k), {"path": PATH}),
}
