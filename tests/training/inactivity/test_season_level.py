"""The level of P(no purchase) in a shop with a season: past years, and the model of the season."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.inactivity.season_level import towards_season
from stagecast.training.panel import Frame
from tests.training.made import a_frame

CUSTOMERS = 2_000


def by_season(columns: Mapping[str, Array]) -> Array:
    return np.asarray(expit(columns["btyd_none"]))


def year(back: int, missed: float) -> Frame:
    """Return a date at which the model of the season is off by ``missed`` log odds."""
    random = np.random.default_rng(back)
    odds = random.normal(0.0, 1.0, CUSTOMERS)
    gone = random.random(CUSTOMERS) < expit(odds + missed)
    columns = {"btyd_none": odds, "T_days": np.full(CUSTOMERS, 400.0)}
    return a_frame(columns, orders=np.where(gone, 0.0, 1.0).tolist(), back=back)  # type: ignore[arg-type]


def level(shifts: list[float], missed: float) -> tuple[float, float]:
    """Return the level and the share where past years say -1.5, and the model -1."""
    seasons = [year(365 * (k + 1), missed) for k in range(len(shifts))]
    now = year(1, 0.0).columns
    return towards_season(
        -1.5, shifts, seasons, by_season, lambda columns: columns["btyd_none"] + 1.0, now
    )


def test_years_of_which_each_is_less_off_give_way_to_a_model_that_is_right() -> None:
    of_model, share = level([-0.7, -1.1, -3.1], 0.0)
    assert share > 0.9
    assert of_model == pytest.approx(-1.0, abs=0.12)


def test_years_that_agree_keep_the_level_where_the_model_is_off() -> None:
    assert level([-1.4, -1.5, -1.6], 0.6) == (-1.5, 0.0)


def test_what_a_model_misses_every_year_is_added_to_it() -> None:
    right, missing = (level([-0.5, -1.5, -4.0], missed)[0] for missed in (0.0, 0.3))
    assert missing - right == pytest.approx(0.25, abs=0.12)
