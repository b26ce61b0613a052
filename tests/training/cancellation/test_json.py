"""The model of cancellations as JSON, the same bytes from the same past, and nothing of the
future in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.standard import standard
from stagecast.features.clock import DAY_MICROSECONDS as DAY
from stagecast.features.contract_spells import spells
from stagecast.features.contracts import NEVER, Spells
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import DataRefusedError
from stagecast.features.events import from_frame
from stagecast.training.cancellation import fitting, landmarks
from stagecast.training.cancellation.fitting import fit_cancellation
from stagecast.training.cancellation.landmarks import current, past
from stagecast.training.cancellation.model import CancellationModel
from tests.features.test_contracts import Event, day, in_memory
from tests.training.cancellation.test_hazards import simulated
from tests.training.cancellation.test_model import few_told, now_told, text, told

# --- the same bytes


@pytest.mark.slow
def test_seeds_and_the_order_of_columns_give_equal_bytes() -> None:
    of, rows, columns = few_told()
    model = fit_cancellation(of, 30, rows, columns, seed=1)
    assert model.method == "pool"
    turned = dict(reversed(columns.items()))
    assert text(fit_cancellation(of, 30, rows, turned, seed=1)) == text(model)
    assert text(fit_cancellation(of, 30, rows, columns, seed=2)) != text(model)


def test_json_and_back_gives_equal_bytes_and_equal_p() -> None:
    model = told()[4]
    now, columns, _ = now_told()
    again = CancellationModel.from_json(json.loads(text(model)))
    assert text(again) == text(model)
    assert again.probability(now, columns).tolist() == model.probability(now, columns).tolist()
    assert np.array_equal(
        again.median_days(now, columns), model.median_days(now, columns), equal_nan=True
    )


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.pop(key)


def _with(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.update({key: value})


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        _without("weights"),
        _without("trees"),
        _with("more", 1),
        _with("method", "guess"),
        _with("horizon_days", 0),
        _with("horizon_days", 30.0),
        _with("horizon_days", True),
        _with("spells", -1),
        _with("season", 1),
        _with("columns", [1]),
        _with("columns", ["activity_30d"]),
        _with("weights", {"ages": 0.5}),
        _with("weights", {"oracle": 1.0}),
        _with("weights", {"ages": 1.5, "glm": -0.5}),
        _with("weights", {"ages": float("nan")}),
        _with("glm", {"design": {}, "intercept": 0.0, "weights": []}),
        _with("glm", None),
        lambda data: data["glm"].update(intercept=float("inf")),
        lambda data: data["glm"]["weights"].append(1.0),
        lambda data: data["ages"]["rates"].append(0.1),
        lambda data: data["ages"]["rates"].__setitem__(0, 1.5),
        lambda data: data["ages"].update(edges_days=[5, 3], rates=[0.1, 0.1, 0.1]),
        lambda data: data["trees"].update(columns=["age_days"]),
        lambda data: data["trees"].update(text="tree"),
        lambda data: data["trees"].pop("text"),
    ],
)
def test_a_strange_json_is_refused(spoil: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(text(told()[4]))
    spoil(data)
    with pytest.raises(DataRefusedError, match="not a model of cancellations"):
        CancellationModel.from_json(data)


@pytest.mark.parametrize("data", [[], None, "text", 3])
def test_what_is_no_object_is_refused(data: Any) -> None:
    with pytest.raises(DataRefusedError, match="not a model of cancellations"):
        CancellationModel.from_json(data)


# --- nothing of the future


def test_what_comes_at_or_after_the_as_of_changes_no_byte() -> None:
    random = np.random.default_rng(22)
    past_events: list[Event] = []
    future: list[Event] = []
    for k in range(300):
        start, lasts = random.uniform(0, 150), random.exponential(60)
        rows: list[Event] = [
            (f"c{k}", start, "signup", None),
            (f"c{k}", start + lasts, "cancel", None),
        ]
        if k % 3 == 0:
            rows.append((f"c{k}", start + lasts + random.exponential(20), "renew", None))
        past_events += [row for row in rows if row[1] < 120]
        future += [row for row in rows if row[1] >= 120]
    future += [
        ("c1", 120.0, "cancel", None),
        ("late", 3.0, "signup", 120.0),
        ("c2", 119.0, "cancel", 120.5),
    ]
    texts, predicted = [], []
    for events in (past_events, [*past_events, *future]):
        of = in_memory(events, 120.0)
        model = fit_cancellation(of, 14, past(of, 14), seed=1)
        texts.append(text(model))
        predicted.append(model.probability(current(of)).tolist())
    assert texts[0] == texts[1]
    assert predicted[0] == predicted[1]


def test_members_are_weighed_on_a_later_window_than_they_were_fitted_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(landmarks, "MAX_ROWS", 6_000)
    of = simulated(6_000, 200.0, seed=24, rate=0.001)
    rows = past(of, 30)
    fitted: list[tuple[int, int]] = []
    weighed: list[tuple[Array, NDArray[np.bool_]]] = []
    fit_ages, fit_grouped, pool_weights = (
        fitting.fit_ages,
        fitting.fit_grouped,
        fitting.blend.pool_weights,
    )

    def ages(spells: Spells, *rest: Any, **named: Any) -> Any:
        fitted.append((spells.as_of, spells.cancellations))
        return fit_ages(spells, *rest, **named)

    def grouped(recipe: Any, columns: Any, cancelled: NDArray[np.bool_], *rest: Any) -> Any:
        fitted.append((len(cancelled), int(cancelled.sum())))
        return fit_grouped(recipe, columns, cancelled, *rest)

    def weights(
        margins: dict[str, Array], target: NDArray[np.bool_], prior: dict[str, float]
    ) -> dict[str, float]:
        weighed.append((np.mean(list(margins.values()), axis=0), target))
        return pool_weights(margins, target, prior)

    monkeypatch.setattr(fitting, "fit_ages", ages)
    monkeypatch.setattr(fitting, "fit_grouped", grouped)
    monkeypatch.setattr(fitting.blend, "pool_weights", weights)
    fit_cancellation(of, 30, rows, seed=1)
    cut = of.as_of - 30 * DAY
    then = landmarks.steps_of(of, rows, 30, until=cut)
    every = landmarks.steps_of(of, rows, 30)
    assert fitted == [
        (of.as_of, of.cancellations),
        (cut, int((of.end < cut).sum())),
        (len(then), int(then.cancelled.sum())),
        (len(every), int(every.cancelled.sum())),
    ]
    # rows that were drawn for being cancelled move the level, which is put back
    [(margin, came)] = weighed
    after = landmarks.steps_of(of, rows, 30, since=cut)
    assert came.tolist() == after.cancelled.tolist()
    assert came.mean() > 2 * -np.expm1(-0.006)
    assert (1 / (1 + np.exp(-margin))).mean() == pytest.approx(came.mean(), rel=1e-6)


def test_what_was_cancelled_after_the_cut_does_not_enter_what_is_weighed_on_it() -> None:
    of = simulated(2_000, 200.0, seed=23)
    cut = of.as_of - 30 * DAY
    observed = of.before(cut)
    assert (observed.end[observed.end != NEVER] < cut).all()
    assert observed.cancellations == int((of.end < cut).sum())
    # a truth that is otherwise the same, with nobody cancelled since
    remaining = replace(of, end=np.where(of.end >= cut, NEVER, of.end))
    assert remaining.before(cut).end.tolist() == observed.end.tolist()


def test_features_of_the_catalogue_are_what_a_caller_hands_over() -> None:
    random = np.random.default_rng(25)
    rows: list[dict[str, Any]] = []
    for k in range(250):
        start, rate = random.uniform(0, 120), 0.02 if k % 2 else 0.002
        end = start + random.exponential(1 / rate)
        rows.append({"customer_id": f"c{k:03d}", "timestamp": day(start), "event": "signup"})
        rows.append({"customer_id": f"c{k:03d}", "timestamp": day(end), "event": "cancel"})
        # who is about to leave comes seldom
        visits = start + np.cumsum(random.exponential(20.0 if k % 2 else 4.0, 40))
        rows += [
            {"customer_id": f"c{k:03d}", "timestamp": day(at), "event": "visit"}
            for at in visits
            if at < end
        ]
    frame = pd.DataFrame(rows)
    frame["timestamp"] = [at.isoformat() for at in frame["timestamp"]]
    with from_frame(frame) as log:
        table = DailyTable(log.con, day(150))
        of = spells(table)
        catalog: Catalog = standard(30).needed_for(["activity_30d", "silence_days"])
        observed = []
        for marks in (past(of, 30), current(of)):
            features = table.features(catalog, marks.backs)
            place = marks.matched(features["back"], features["customer"])
            observed.append(
                (marks, {name: features[name][place] for name in ("activity_30d", "silence_days")})
            )
        table.close()
    (marks, columns), (now, columns_now) = observed
    model = fit_cancellation(of, 30, marks, columns, seed=1)
    p = model.probability(now, columns_now)
    often = now.customer % 2 == 0
    assert p[~often].mean() > 2 * p[often].mean()
