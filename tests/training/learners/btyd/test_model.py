"""What a model says holds together, of any customer; it is stored exactly, and read back
strictly.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.training.learners.btyd import PARAMETERS, GammaGamma, Model
from tests.profiles import examples

BG = Model("bg_nbd", (0.25, 31.0, 0.8, 2.4), -9582.4, 2357)
MBG = Model("mbg_nbd", (0.52, 43.0, 0.9, 1.6), -9582.1, 2357)
PARETO = Model("pareto_nbd", (0.55, 74.0, 0.61, 82.0), -9595.0, 2357)
SPEND = GammaGamma(6.25, 3.74, 15.44, 38.8, -4055.9, 946)

shapes = st.floats(1e-3, 5e3)
times = st.floats(1e-2, 1e6)


@st.composite
def models(draw: st.DrawFn) -> Model:
    name = draw(st.sampled_from(sorted(PARAMETERS)))
    first, second = draw(shapes), draw(times)
    return Model(
        name, (first, second, draw(shapes), draw(times if name == "pareto_nbd" else shapes)), 0.0, 1
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, float, float]:
    x = draw(st.one_of(st.integers(0, 5), st.integers(0, 2000)))
    T = draw(st.floats(0.0, 4000.0))
    return x, draw(st.floats(0.0, T)) if x else 0.0, T


@settings(deadline=None, max_examples=examples(200))
@given(models(), histories(), st.floats(0.0, 4000.0), st.floats(0.0, 1.0))
def test_every_answer_is_finite_and_possible(
    model: Model, history: tuple[int, float, float], days: float, rate: float
) -> None:
    alive = float(model.p_alive(*history))
    none = float(model.p_none(days, *history))
    orders = float(model.expected_orders(days, *history))
    discounted = float(model.expected_orders_discounted(days, *history, annual_rate=rate))
    assert np.isfinite(float(model.log_likelihood_of(*history)))
    assert 0.0 <= alive <= 1.0
    assert 1.0 - alive - 1e-9 <= none <= 1.0
    assert np.isfinite(orders)
    # Markov: an order is expected at least as much as one is likely
    assert orders >= 1.0 - none - 1e-9
    # who never left would expect this many
    r, alpha = model.params[:2]
    assert orders <= (r + history[0]) * days / (alpha + history[2]) * (1.0 + 1e-9) + 1e-300
    lowest = orders * (1.0 + rate) ** (-days / 365.0)
    assert lowest * (1 - 1e-3) - 1e-12 <= discounted <= orders * (1.0 + 1e-3) + 1e-12


@settings(deadline=None, max_examples=examples(100))
@given(models(), histories(), st.floats(0.1, 2000.0), st.floats(0.1, 2000.0))
def test_a_longer_window_has_more_orders_and_less_silence(
    model: Model, history: tuple[int, float, float], days: float, more: float
) -> None:
    window = np.array([0.0, days, days + more])
    none, orders = model.p_none(window, *history), model.expected_orders(window, *history)
    assert none[0] == pytest.approx(1.0, abs=1e-15)
    assert orders[0] == 0.0
    assert np.all(np.diff(none) <= 1e-9)
    assert np.all(np.diff(orders) >= -1e-9 * orders[-1])


@settings(deadline=None, max_examples=examples(100))
@given(
    models(), st.integers(1, 300), st.floats(1.0, 4000.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0)
)
def test_who_bought_more_recently_is_likelier_alive(
    model: Model, x: int, T: float, one: float, other: float
) -> None:
    earlier, later = sorted([one * T, other * T])
    assert model.p_alive(x, earlier, T) <= model.p_alive(x, later, T) * (1 + 1e-9)


@pytest.mark.parametrize("model", [BG, MBG, PARETO], ids=lambda model: model.name)
def test_arrays_give_what_their_elements_give(model: Model) -> None:
    random = np.random.default_rng(5)
    x = random.choice([0.0, 1.0, 2.0, 9.0, 400.0], 200)
    T = random.choice([0.0, 10.0, 355.5], 200)
    t_x = np.where(x > 0, T / 2, 0.0)
    days = np.array([[0.0], [7.0], [365.0]])
    for method in (model.p_none, model.expected_orders):
        whole = method(days, x, t_x, T)
        single = [
            [float(method(d, *row)) for row in zip(x, t_x, T, strict=True)] for d in days[:, 0]
        ]
        assert whole.dtype == np.float64
        assert whole == pytest.approx(np.array(single), rel=1e-9)
    for of_history in (model.p_alive, model.log_likelihood_of):
        single_row = [float(of_history(*row)) for row in zip(x, t_x, T, strict=True)]
        assert of_history(x, t_x, T) == pytest.approx(np.array(single_row), rel=1e-12)
        assert of_history([], [], []).shape == (0,)
    assert model.expected_orders(30.0, [], [], []).shape == (0,)


@pytest.mark.parametrize("model", [BG, MBG, PARETO], ids=lambda model: model.name)
def test_without_a_rate_nothing_is_discounted_and_a_new_customer_has_no_history(
    model: Model,
) -> None:
    history = ([0, 2, 30], [0, 50, 200], [10, 270, 210])
    assert np.array_equal(
        model.expected_orders_discounted(365, *history, annual_rate=0),
        model.expected_orders(365, *history),
    )
    assert float(model.expected_orders_new(365)) == float(model.expected_orders(365, 0, 0, 0))


def test_the_two_coin_models_differ_by_one_coin() -> None:
    # a customer's coin after the first purchase moves b by one: MBG/NBD is BG/NBD given that it was
    # survived
    survived = Model("bg_nbd", (0.52, 43.0, 0.9, 2.6), 0.0, 1)
    history = ([1, 2, 30], [10, 50, 200], [12, 270, 210])
    assert MBG.p_alive(*history) == pytest.approx(survived.p_alive(*history), rel=1e-12)
    assert MBG.expected_orders(90, *history) == pytest.approx(
        survived.expected_orders(90, *history), rel=1e-12
    )
    both = MBG.log_likelihood_of(*history) - survived.log_likelihood_of(*history)
    assert both == pytest.approx(np.log(1.6 / 2.5), rel=1e-9)


@pytest.mark.parametrize("model", [BG, MBG, PARETO], ids=lambda model: model.name)
@pytest.mark.parametrize(
    ("x", "t_x", "T"),
    [
        (-1, 0, 10),
        (1, -1, 10),
        (1, 11, 10),
        (0, 5, 10),
        (np.nan, 0, 10),
        (1, 1, np.inf),
        (1, np.nan, 10),
    ],
)
def test_an_impossible_history_is_refused_with_its_place(
    model: Model, x: float, t_x: float, T: float
) -> None:
    columns = [0, x], [0, t_x], [10, T]
    for answer in (model.p_alive, model.log_likelihood_of):
        with pytest.raises(
            ValueError, match="1 customer without a possible history, first at position 1: x="
        ):
            answer(*columns)
    with pytest.raises(ValueError, match="position 1"):
        model.p_none(30, *columns)
    with pytest.raises(ValueError, match="position 1"):
        model.expected_orders(30, *columns)


@pytest.mark.parametrize("days", [-1.0, np.nan, np.inf])
def test_an_impossible_window_is_refused(days: float) -> None:
    with pytest.raises(ValueError, match=f"days {days}"):
        MBG.p_none(days, 0, 0, 10)
    with pytest.raises(ValueError, match=f"days {days}"):
        MBG.expected_orders_new(days)


@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=f"annual_rate {rate}"):
        MBG.expected_orders_discounted(30, 0, 0, 10, annual_rate=rate)


@settings(deadline=None)
@given(models())
def test_a_stored_model_is_read_back_exactly(model: Model) -> None:
    assert Model.from_json(json.loads(json.dumps(model.to_json()))) == model


def test_stored_spend_is_read_back_exactly() -> None:
    assert GammaGamma.from_json(json.loads(json.dumps(SPEND.to_json()))) == SPEND


BAD = [None, "1", True, float("nan"), float("inf"), 10**400, [1.0]]


@pytest.mark.parametrize("key", ["r", "alpha_days", "s", "beta_days"])
def test_a_stored_parameter_that_cannot_be_is_named(key: str) -> None:
    for value in [*BAD, 0, -1.0]:
        stored = PARETO.to_json()
        stored["params"][key] = value
        with pytest.raises(ValueError, match=rf"^{key} is "):
            Model.from_json(stored)
    stored = PARETO.to_json()
    del stored["params"][key]
    with pytest.raises(ValueError, match=rf"params of pareto_nbd lacks the key '{key}'"):
        Model.from_json(stored)


@pytest.mark.parametrize("key", ["p", "q", "v", "mean_spend", "log_likelihood", "customers"])
def test_a_stored_spend_value_that_cannot_be_is_named(key: str) -> None:
    for value in [*BAD, *([] if key == "log_likelihood" else [0, -1.0])]:
        with pytest.raises(ValueError, match=rf"^{key} is "):
            GammaGamma.from_json({**SPEND.to_json(), key: value})
    with pytest.raises(ValueError, match=f"lacks the key '{key}'"):
        GammaGamma.from_json({k: v for k, v in SPEND.to_json().items() if k != key})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "nbd"}, "name 'nbd' is not a customer-base model"),
        ({"name": ["bg_nbd"]}, "name .* is not a customer-base model"),
        ({"log_likelihood": float("nan")}, "log_likelihood is nan"),
        ({"customers": 0}, "customers is 0"),
        ({"customers": 2.5}, "customers is 2.5"),
        ({"parms": {}}, "unknown key 'parms'. Did you mean 'params'"),
        ({"params": [1, 2, 3, 4]}, "params of mbg_nbd is a list"),
        (
            {"params": {"r": 1, "alpha_days": 1, "s": 1, "b": 1}},
            "params of mbg_nbd has the unknown key 's'",
        ),
    ],
)
def test_a_stored_model_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Model.from_json({**MBG.to_json(), **change})
    with pytest.raises(ValueError, match="is a list"):
        Model.from_json([])  # type: ignore[arg-type]


def test_a_model_cannot_be_made_wrong() -> None:
    with pytest.raises(ValueError, match="alpha_days is 0"):
        Model("bg_nbd", (1.0, 0.0, 1.0, 1.0), 0.0, 1)
    with pytest.raises(ValueError, match="4 parameters"):
        Model("bg_nbd", (1.0, 1.0, 1.0), 0.0, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'nbd'"):
        Model("nbd", (1.0, 1.0, 1.0, 1.0), 0.0, 1)


@settings(deadline=None)
@given(
    st.integers(1, 5000), st.floats(1e-3, 1e9), shapes, st.floats(1.01, 1e3), st.floats(1e-3, 1e6)
)
def test_expected_spend_lies_between_the_customers_and_the_populations_mean(
    x: int, monetary: float, p: float, q: float, v: float
) -> None:
    model = GammaGamma(p, q, v, 1.0, 0.0, 1)
    population = float(model.expected_spend(0, 0))
    assert population == pytest.approx(p * v / (q - 1.0), rel=1e-9)
    low, high = sorted([population, monetary])
    assert low * (1 - 1e-9) <= float(model.expected_spend(x, monetary)) <= high * (1 + 1e-9)
    assert np.isfinite(model.log_likelihood_of(x, monetary))


def test_spend_falls_back_to_the_mean_where_the_population_has_none() -> None:
    model = GammaGamma(0.2, 0.5, 20.0, 33.0, 0.0, 1)
    # p x + q - 1 is -.5, -.3, 0 (no finite mean) and 1.5: .2 (20 + 10 * 12) / 1.5
    actual = model.expected_spend([0, 1, 2.5, 10], [np.nan, 12.0, 12.0, 12.0])
    assert actual == pytest.approx([33.0, 33.0, 33.0, 0.2 * 140.0 / 1.5])


@pytest.mark.parametrize(
    ("x", "monetary"), [(-1, 5.0), (np.inf, 5.0), (1, 0.0), (1, np.nan), (2, -3.0), (1, np.inf)]
)
def test_an_impossible_spend_is_refused_with_its_place(x: float, monetary: float) -> None:
    with pytest.raises(ValueError, match="first at position 1"):
        SPEND.expected_spend([1, x], [5.0, monetary])
    with pytest.raises(ValueError, match="above 0"):
        SPEND.log_likelihood_of([1, x], [5.0, monetary])


def test_evaluation_imports_nothing_that_fits() -> None:
    fitting = [
        "lifetimes",
        "autograd",
        "pandas",
        "sklearn",
        "mlflow",
        "stagecast.training.learners.btyd.fit",
    ]
    loaded = f"[m for m in {fitting} if m in sys.modules]"
    code = f"import sys, stagecast.training.learners.btyd; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd"])
def test_days_until_turns_p_none_around(name: str) -> None:
    draw = np.random.default_rng(11)
    x = draw.integers(0, 20, 500).astype(np.float64)
    T = draw.uniform(1.0, 800.0, 500)
    t_x = np.where(x > 0, T * draw.random(500), 0.0)
    model = Model(name, (0.6, 40.0, 0.8, 2.5), 0.0, 1)
    days = draw.uniform(1.0, 2000.0, 500)
    p_none = model.p_none(days, x, t_x, T)
    again = model.days_until(p_none, x, t_x, T)
    assert again is not None
    reached = np.isfinite(again)
    assert reached.mean() > 0.9
    back = model.p_none(again[reached], x[reached], t_x[reached], T[reached])
    np.testing.assert_allclose(back, p_none[reached], rtol=1e-13)
    # where no days lead to the probability, it is that of having left, but for its last bits
    left = 1.0 - model.p_alive(x, t_x, T)
    np.testing.assert_allclose(p_none[~reached], left[~reached], rtol=1e-13)
    clear = p_none - left > 0.01
    assert clear.mean() > 0.1
    np.testing.assert_allclose(again[clear], days[clear], rtol=1e-9)


def test_days_until_is_infinite_where_leaving_alone_is_likelier() -> None:
    model = Model("mbg_nbd", (0.6, 40.0, 0.8, 2.5), 0.0, 1)
    dead = 1.0 - model.p_alive([5.0], [20.0], [900.0])
    days = model.days_until([float(dead[0]) * 0.99, 0.999999], [5.0], [20.0], [900.0])
    assert days is not None
    assert days[0] == np.inf
    assert np.isfinite(days[1])


def test_only_closed_forms_say_days_until() -> None:
    history = ([2.0], [30.0], [60.0])
    assert Model("pareto_nbd", (0.8, 35.0, 0.7, 90.0), 0.0, 1).days_until(0.5, *history) is None
    regular = Model("mbg_nbd", (0.6, 40.0, 0.8, 2.5), 0.0, 1, regularity=2)
    assert regular.days_until(0.5, *history) is None
