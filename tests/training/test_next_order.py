"""The median day of the next order: by a closed form as by bisection, and null where it is late."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.training import models as of_models
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.customer_base import CustomerBase
from tests.training.made import Trained


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd"])
def test_the_closed_form_gives_the_days_of_the_bisection(
    shop: Trained, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    draw = np.random.default_rng(3)
    rows = 2000
    x = np.floor(draw.exponential(4.0, rows))
    T = np.ceil(draw.uniform(1.0, 900.0, rows))
    columns = {
        "frequency": x,
        "T_days": T,
        "t_x_days": np.where(x > 0, np.floor(T * draw.random(rows)), 0.0),
        "recency_days": T,
    }
    p_inactive = np.r_[draw.random(rows - 4), 0.0, 1.0, 1e-12, 0.5]
    base = CustomerBase((Model(name, (0.6, 40.0, 0.8, 2.5), 0.0, 1),), None)
    models = replace(shop.training.models, base=base)
    by_formula = of_models._days_to_order(models, columns, p_inactive)
    monkeypatch.setattr(Model, "days_until", lambda *_: None)
    by_halving = of_models._days_to_order(models, columns, p_inactive)
    np.testing.assert_array_equal(np.isnan(by_formula), np.isnan(by_halving))
    assert 0.2 < np.isnan(by_formula).mean() < 0.9
    # a cell of the bisection is 1e-4 days wide; close to the probability of having left, the last
    # bits of a probability are more
    np.testing.assert_allclose(by_formula, by_halving, atol=0.1)
    dated = ~np.isnan(by_formula)
    assert (by_formula[dated] == by_halving[dated]).mean() > 0.99
