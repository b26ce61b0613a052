"""How each public function and method is called, and of which kind its arguments are."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd

import stagecast as sc
from stagecast.features.catalog.own import OwnFeatures
from stagecast.serving.python.parameters import config_of
from stagecast.serving.python.words import python_words
from tests.serving.python.arguments import (
    CHOICE,
    DAYS,
    FLAG,
    ID,
    LIST,
    LOG,
    MAPPING,
    MODEL,
    MODEL_OR_PATH,
    MONEY,
    OBJECT,
    PATH,
    SCHEME,
    SHARE,
    SPAN,
    TABLE,
    TEXT,
    TEXTS,
    TIME,
    TIMES,
    WHOLE,
    Called,
    Kind,
    World,
    times,
)
from tests.serving.python.called_models import OF_MODELS, PRESENT

MID, LATE = date(2021, 6, 1), date(2021, 12, 31)


def at(day: date, **others: Any) -> Any:
    return lambda w: {"as_of": day, **others}


def settings(w: World, **parameters: Any) -> Any:
    """Return what ``fit`` reads of the parameters before it learns."""
    with python_words():
        return config_of(sc.Lifecycle(**parameters).get_params(deep=False), OwnFeatures())


def read(w: World, **options: Any) -> Any:
    source = options.pop("source", w.rows)
    with sc.read_events(source, **options) as log:
        return log.features()


def backtested(w: World, **options: Any) -> Any:
    log, methods = options.pop("log", w.tiny), options.pop("methods", sc.Lifecycle(horizon="60d"))
    return sc.backtest(log, methods, **options)


def planned(w: World, **options: Any) -> Any:
    scores = options.pop("scores", w.scores)
    return sc.plan(scores, **({"contacts": 60} | options)).contacts


def ran(w: World, **options: Any) -> Any:
    given = {"log": w.tiny, "out": w.folder / "run", "config": sc.TrainConfig(horizon_days=7)}
    given |= {"force": True} | options
    done = sc.run(given.pop("log"), given.pop("out"), given.pop("config"), **given)
    return done.scores.drop_columns(["model_version"]).to_pandas()


def watched(w: World, **options: Any) -> Any:
    return sc.monitor(**({"model": w.small_model, "log": w.tiny} | options)).to_json()


EXPRESSION = Kind(TEXT.forms, (3, ["a"], "nonesuch"))
OPTION = TEXT
PINS = Kind(MAPPING.forms, (*MAPPING.wrong, {"nonesuch": 3}, {"loyal_orders": -1}))
PERIOD = Kind(CHOICE.forms, ("nonesuch", 3, "day"))

READ = {
    **dict.fromkeys(("customer", "time", "amount", "event", "channel", "recorded_at"), EXPRESSION),
    **dict.fromkeys(("event_id", "currency", "product", "category"), EXPRESSION),
    "discount_amount": EXPRESSION,
    **dict.fromkeys(("time_format", "zone", "encoding", "separator", "decimal"), CHOICE),
    **dict.fromkeys(("preset", "thousands", "duplicates", "negative_amounts"), CHOICE),
    **dict.fromkeys(("memory", "spill", "test_customers", "where", "report_currency"), OPTION),
    **dict.fromkeys(("currency_sign", "not_products"), OPTION),
    **dict.fromkeys(("rates", "refuse", "flag"), MAPPING),
    "source": Kind(TABLE.forms, (3, None, {"a": [1]}, b"x")),
    "customers": Kind(TABLE.forms, (3, ["a"], {"a": [1]})),
    "known_at_start": TEXTS,
    "header_line": Kind(WHOLE.forms, ("3", 2.5, 0, [3])),
    "options": OBJECT,
    "own": OBJECT,
    "skew": Kind(lambda days: SPAN.forms(days), (3, "x", [1])),
    "max_rejected": Kind(lambda n: [n, str(n)], (0.5, "x", [1], True, -1)),
    "temp_dir": PATH,
}
LEARNING = {
    "horizon": SPAN,
    "value_horizon": SPAN,
    "scheme": SCHEME,
    "churn": CHOICE,
    **dict.fromkeys(("contract_start", "contract_renewal", "contract_end"), TEXTS),
    **dict.fromkeys(("discount", "margin", "medium_risk", "high_risk"), SHARE),
    "pins": PINS,
    "calendar": OBJECT,
    "rfm": OBJECT,
    "features": LIST,
    **dict.fromkeys(("members", "spend_members", "orders_members"), MAPPING),
    "max_dates": WHOLE,
    "seed": WHOLE,
}
PLAN = {
    "scores": Kind(TABLE.forms, (3, "x", None, [1])),
    **dict.fromkeys(("budget", "contact_cost", "offer_cost", "min_gain", "min_value"), MONEY),
    "worth": MONEY,
    "contacts": WHOLE,
    "seed": WHOLE,
    **dict.fromkeys(("holdout", "effect", "win_back_effect", "offer_share"), SHARE),
    **dict.fromkeys(("stage", "play", "band", "state"), Kind(TEXTS.forms, (3, [3], "nonesuch"))),
    "ids": Kind(TEXTS.forms, ([2.5], [None], b"a", [])),
    "do_not_contact": Kind(TEXTS.forms, ([2.5], [None], b"a")),
    "start": TIME,
    "window": SPAN,
    "standing": FLAG,
    "scheme": SCHEME,
}

CALLED: dict[str, Called] = {
    "EventLog.at": Called(lambda w, **k: w.log.at(**k), {"as_of": TIME}, at(MID)),
    "EventLog.before_after": Called(
        lambda w, **k: w.tiny.before_after(**({"date": "2021-02-05"} | k)).summary,
        {"date": TIME, "as_of": TIME, "scheme": SCHEME},
        at(PRESENT, date=date(2021, 2, 5)),
    ),
    "EventLog.check": Called(
        lambda w, **k: w.tiny.check(**({"horizon": "7d"} | k)).text,
        {"horizon": SPAN, "as_of": TIME, "churn": CHOICE},
        at(PRESENT, horizon=14),
    ),
    "EventLog.dates": Called(
        lambda w, **k: [found.as_of for found in w.log.dates(**k)],
        {"as_ofs": TIMES},
        lambda w: {"as_ofs": MID},
    ),
    "EventLog.features": Called(
        lambda w, **k: w.tiny.features(**k),
        {"as_of": TIME, "horizon": SPAN, "features": LIST},
        at(PRESENT, horizon=14),
    ),
    "EventLog.flows": Called(
        lambda w, **k: w.tiny.flows(**k).moved,
        {
            "as_of": TIME,
            "scheme": SCHEME,
            "period": PERIOD,
            "moved_from": TIME,
            "moved_until": TIME,
        },
        at(PRESENT, moved_from=date(2021, 2, 1), moved_until=date(2021, 3, 10)),
    ),
    "EventLog.history": Called(
        lambda w, **k: w.tiny.history(**k), {"customer_id": ID}, lambda w: {"customer_id": "17"}
    ),
    "EventLog.snapshots": Called(
        lambda w, **k: w.tiny.snapshots(**({"as_ofs": "2021-02-01", "horizon": "7d"} | k)).X,
        {"as_ofs": TIMES, "horizon": SPAN, "features": LIST},
        lambda w: {"as_ofs": date(2021, 2, 1), "horizon": 14},
    ),
    "EventLog.spells": Called(
        lambda w, **k: w.tiny.spells(**k), {"as_of": TIME, "scheme": SCHEME}, at(PRESENT)
    ),
    "EventLog.stages": Called(
        lambda w, **k: w.tiny.stages(**k), {"as_of": TIME, "scheme": SCHEME}, at(PRESENT)
    ),
    "EventLog.write_rejected": Called(
        lambda w, **k: w.tiny.write_rejected(**k),
        {"path": PATH},
        lambda w: {"path": w.folder / "rejected.parquet"},
    ),
    "Lifecycle": Called(
        settings,
        LEARNING,
        lambda w: {
            "horizon": 7,
            "value_horizon": 70,
            "discount": 0.25,
            "margin": 0.5,
            "medium_risk": 0.25,
            "high_risk": 0.75,
            "max_dates": 2,
            "seed": 3,
        },
    ),
    "Lifecycle.explain": Called(
        lambda w, **k: repr(w.small_model.explain(**k)),
        {"customer_id": ID},
        lambda w: {"customer_id": "17"},
    ),
    "Lifecycle.fit": Called(
        lambda w, **k: sc.Lifecycle(horizon="7d").fit(**({"log": w.tiny} | k)).bundle_.as_of,
        {"log": LOG, "as_of": TIME},
        at(PRESENT),
    ),
    "Lifecycle.score": Called(
        lambda w, **k: w.small_model.score(**({"log": w.tiny} | k)),
        {"log": LOG, "as_of": TIME, "reasons": FLAG},
        at(PRESENT, reasons=False),
    ),
    "Lifecycle.save": Called(
        lambda w, **k: w.small_model.save(**({"folder": w.folder / "m"} | k)),
        {"folder": PATH, "own_members": CHOICE},
    ),
    "Lifecycle.register": Called(
        lambda w, **k: w.small_model.register(**({"name": "shop"} | k)),
        {"name": TEXT, "tracking_uri": Kind(TEXT.forms, (3,))},
    ),
    "Plan.load": Called(
        lambda w, **k: sc.Plan.load(**k), {"file": Kind(PATH.forms, (3, None, "nowhere.json"))}
    ),
    "Plan.save": Called(lambda w, **k: w.plan.save(**k), {"file": PATH}),
    "Plan.readout": Called(
        lambda w, **k: w.plan.readout(**({"later": w.counted} | k)).summary,
        {
            "later": Kind(TABLE.forms, (3, "x", None)),
            "until": Kind(TIME.forms, ()),
            "margin": SHARE,
        },
        lambda w: {"later": w.counted, "margin": 0.5},
    ),
    "Registry": Called(
        lambda w, **k: sc.Registry(**({"name": "shop"} | k)),
        {"name": TEXT, "tracking_uri": Kind(TEXT.forms, (3,))},
    ),
    "TrainConfig": Called(
        lambda w, **k: sc.TrainConfig(**k),
        {
            **dict.fromkeys(("horizon_days", "value_horizon_days"), DAYS),
            **dict.fromkeys(("annual_discount", "margin", "medium_risk", "high_risk"), SHARE),
            **dict.fromkeys(("terms", "own", "calendar", "rfm", "members"), OBJECT),
            "pins": PINS,
            "churn": CHOICE,
            "zone": CHOICE,
            "scheme": SCHEME,
            "known_at_start": TEXTS,
            "max_dates": WHOLE,
            "seed": WHOLE,
        },
        lambda w: {
            "horizon_days": 60,
            "value_horizon_days": 70,
            "annual_discount": 0.25,
            "margin": 0.5,
            "known_at_start": "channel",
            "medium_risk": 0.25,
            "high_risk": 0.75,
            "max_dates": 3,
            "seed": 7,
        },
    ),
    "Backtest.save": Called(
        lambda w, **k: sc.Backtest.save(None, **({"folder": w.folder / "b"} | k)),
        {"folder": PATH, "force": FLAG},
    ),
    "backtest": Called(
        backtested,
        {
            "log": LOG,
            "methods": Kind(MAPPING.forms, (3, "x", [1])),
            "dates": WHOLE,
            "horizon": SPAN,
            "step": SPAN,
            "as_of": TIME,
            "baselines": Kind(TEXTS.forms, (3, [3])),
            **dict.fromkeys(("clv", "incentive_cost", "contact_cost"), MONEY),
        },
    ),
    "catalog": Called(lambda w, **k: sc.catalog(**k), {"horizon": SPAN}, lambda w: {"horizon": 14}),
    "from_frame": Called(
        lambda w, **k: sc.from_frame(**({"frame": w.rows} | k)).features(),
        {"options": OBJECT, "customers": READ["customers"], "frame": Kind(TABLE.forms, ())},
        lambda w: {"frame": w.rows},
    ),
    "load": Called(
        lambda w, **k: repr(sc.load(**k)),
        {"model": Kind(PATH.forms, (3, None, ["a"])), "tracking_uri": Kind(TEXT.forms, ())},
        lambda w: {"model": w.bundle},
    ),
    "load_scorer": Called(
        lambda w, **k: repr(sc.load_scorer(**({"path": w.bundle} | k))),
        {"path": PATH, "threads": WHOLE, "with_reasons": FLAG},
        lambda w: {"path": w.bundle, "threads": 1, "with_reasons": False},
    ),
    "monitor": Called(
        watched,
        {
            "model": Kind(MODEL_OR_PATH.forms, (3, ["x"], None)),
            "log": LOG,
            "as_of": TIME,
            "store": Kind(PATH.forms, (3, ["a"])),
            "max_age_days": DAYS,
        },
        at(PRESENT, max_age_days=30),
    ),
    "neg_churn_log_loss": Called(
        lambda w, **k: sc.neg_churn_log_loss(**({"model": w.model, "dates": []} | k)),
        {"model": MODEL, "dates": LIST},
    ),
    "plan": Called(
        planned,
        PLAN,
        lambda w: {
            "scores": w.scores.reset_index(),
            "budget": 60.0,
            "contact_cost": 0.5,
            "offer_cost": 0.5,
            "min_value": 1.0,
            "min_gain": 0.5,
            "worth": 3.0,
            "contacts": 50,
            "seed": 3,
            "holdout": 0.2,
            "effect": 0.25,
            "win_back_effect": 0.25,
            "offer_share": 0.05,
            "state": "active",
            "ids": None,
            "start": LATE,
            "window": 30,
            "standing": True,
        },
    ),
    "read_events": Called(
        read,
        READ,
        lambda w: {
            "source": w.rows,
            "customers": pd.DataFrame({"customer_id": [17, 21], "channel": ["a", "b"]}),
            "header_line": 1,
            "skew": 2,
            "max_rejected": 10,
            "temp_dir": w.folder,
        },
    ),
    "run": Called(
        ran,
        {
            "log": LOG,
            "out": PATH,
            "config": OBJECT,
            "as_of": Kind(lambda day: times(day)[::5], TIME.wrong),
            "force": FLAG,
            "language": CHOICE,
        },
        lambda w: {"out": w.folder / "other", "as_of": PRESENT},
    ),
    "schemes": Called(lambda w, **k: sc.schemes(**k), {"scheme": SCHEME}),
    **OF_MODELS,
}
