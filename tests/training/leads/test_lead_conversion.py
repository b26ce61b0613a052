"""p_convert: between 0 and 1 for whatever comes in, right on average, moved by activity where
activity tells.
"""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.arrays import Array
from stagecast.training.leads.conversion import UNKNOWN, LeadConversion
from stagecast.training.leads.exposure import Leads
from stagecast.training.leads.fit_activity import Landmark, fit_activity
from stagecast.training.leads.fit_hazard import fit_hazard
from stagecast.training.leads.fitting import FEWEST_FOR_HAZARD, fit_lead_conversion
from stagecast.training.leads.hazard import HazardModel
from tests.profiles import examples
from tests.training.leads.made import EDGES, RATES, constant, share_within, simulated_leads

NAN = float("nan")


def at(*ages: float) -> dict[str, Array]:
    return {"tenure_days": np.array(ages)}


def test_leads_of_any_age_are_right_on_average() -> None:
    leads = simulated_leads(20_000, seed=1)
    model = fit_lead_conversion(leads, 120.0, 90, {}, half_life_days=None)
    age = np.array([0.0, 10.0, 60.0])
    assert model.probability(at(*age)).tolist() == pytest.approx(
        share_within(age, 90.0).tolist(), rel=0.12
    )


def test_leads_that_are_all_still_young_are_learned_from() -> None:
    leads = simulated_leads(20_000, seed=2, days=30.0)
    model = fit_lead_conversion(leads, 30.0, 90, {}, half_life_days=None)
    # nothing was seen beyond 30 days; what was seen comes out right
    assert model.probability(at(0.0), horizon_days=20)[0] == pytest.approx(
        share_within(np.zeros(1), 20.0)[0], rel=0.08
    )


def test_a_longer_horizon_is_likelier() -> None:
    model = fit_lead_conversion(simulated_leads(2_000, seed=3), 120.0, 90, {})
    p = [model.probability(at(0.0, 20.0, 400.0), horizon_days=h) for h in (1, 30, 90, 365)]
    assert (np.diff(p, axis=0) > 0).all()
    few = LeadConversion(None, None, 0.2, 90, 1.0, 0.0, 5, 0)
    assert few.probability(at(0.0), horizon_days=180)[0] == pytest.approx(1 - 0.8**2)


@pytest.mark.parametrize("count", [0, 1, 500])
def test_without_a_conversion_it_is_the_smoothed_share(count: int) -> None:
    leads = Leads(np.zeros(count), np.full(count, NAN), NAN)
    model = fit_lead_conversion(leads, 180.0, 90, {"channel": constant("x", count)})
    assert model.hazard is None
    expected = UNKNOWN if count == 0 else 0.5 / (count * 180 / 90 + 1)
    assert model.probability(at(3.0)).tolist() == pytest.approx([expected])


def test_few_conversions_give_the_smoothed_share_of_what_was_seen() -> None:
    converted = np.r_[np.full(FEWEST_FOR_HAZARD - 1, 30.0), np.full(91, NAN)]
    model = fit_lead_conversion(Leads(np.zeros(100), converted, 0.0), 90.0, 90, {})
    open_horizons = (9 * 30 + 91 * 90) / 90
    assert model.hazard is None
    assert model.share == pytest.approx(9.5 / (9 + open_horizons + 1))


def test_all_that_convert_at_once_are_no_certainty() -> None:
    leads = Leads(np.zeros(12), np.full(12, 1e-9), 0.0)
    p = fit_lead_conversion(leads, 90.0, 90, {}).probability(at(0.0))
    assert p.tolist() == [13 / 14]


_TIMES = st.none() | st.floats(-400, 400, allow_nan=False)


@settings(max_examples=examples(80), deadline=None)
@given(
    rows=st.lists(st.tuples(_TIMES, _TIMES, st.sampled_from(["a", "b", ""])), max_size=40),
    ages=st.lists(st.floats(-1e4, 1e5) | st.just(NAN), min_size=1, max_size=5),
    since=st.none() | st.floats(-400, 400),
)
def test_dirty_leads_give_probabilities(
    rows: list[tuple[float | None, float | None, str]], ages: list[float], since: float | None
) -> None:
    start, converted = (
        np.array([NAN if row[k] is None else row[k] for row in rows], dtype=np.float64)
        for k in (0, 1)
    )
    who = np.array([row[2] for row in rows], dtype=object)
    model = fit_lead_conversion(
        Leads(start, converted, NAN if since is None else since), 100.0, 30, {"c": who}
    )
    p = model.probability({"tenure_days": np.array(ages)}, {"c": constant("b", len(ages))})
    assert ((p > 0) & (p < 1)).all()


def test_a_deal_before_the_first_contact_is_no_lead() -> None:
    leads = simulated_leads(2_000, seed=5)
    dirty = Leads(np.r_[leads.start, 10.0, 20.0], np.r_[leads.converted, 8.0, 20.0], 0.0)
    item, other = (fit_lead_conversion(these, 120.0, 90, {}) for these in (leads, dirty))
    assert item == other


def test_what_comes_after_the_as_of_is_not_seen() -> None:
    leads = simulated_leads(3_000, seed=6)
    later = Leads(leads.start, np.where(leads.converted < 80, leads.converted, NAN), 0.0)
    begun = Leads(np.where(leads.start < 80, leads.start, NAN), later.converted, 0.0)
    models = [fit_lead_conversion(these, 80.0, 90, {}) for these in (leads, later, begun)]
    assert models[0] == models[1] == models[2]


def landmarks(leads: Leads, activity: Array, days: tuple[float, ...]) -> list[Landmark]:
    """Return landmarks at which the scores of the leads are ``activity``."""
    everyone = np.arange(len(leads))
    rest = np.zeros(len(leads))
    return [
        Landmark(
            day,
            everyone,
            {
                "tenure_days": day - leads.start,
                "activity": activity,
                "activity_30d": activity,
                "silence_days": rest,
            },
        )
        for day in days
    ]


def test_what_comes_after_the_as_of_is_not_seen_at_the_dates_either() -> None:
    leads, report = active_leads(14, strength=0.6)
    later = Leads(leads.start, np.where(leads.converted < 80, leads.converted, NAN), 0.0)
    models = [
        fit_lead_conversion(these, 80.0, 60, {}, landmarks(these, report, (40.0, 70.0)))
        for these in (leads, later)
    ]
    assert models[0].activity is not None
    assert models[0].to_json() == models[1].to_json()


def active_leads(seed: int, strength: float) -> tuple[Leads, Array]:
    random = np.random.default_rng(seed)
    report = random.integers(0, 4, 8_000).astype(np.float64)
    return simulated_leads(8_000, seed + 1, times=np.exp(strength * (report - 1.5))), report


def test_activity_is_learned_where_it_tells() -> None:
    leads, report = active_leads(7, strength=0.6)
    # the dates of the last horizon teach as well: their leads are followed until the as_of
    model = fit_lead_conversion(
        leads, 120.0, 60, {}, landmarks(leads, report, (40.0, 60.0, 90.0)), half_life_days=None
    )
    assert model.activity is not None
    age, active = np.full(4, 15.0), np.arange(4.0)
    columns = {
        "tenure_days": age,
        "activity": active,
        "activity_30d": active,
        "silence_days": np.zeros(4),
    }
    true = share_within(age, 60.0, np.exp(0.6 * (active - 1.5)))
    assert model.probability(columns).tolist() == pytest.approx(true.tolist(), rel=0.25)
    again = LeadConversion.from_json(json.loads(json.dumps(model.to_json())))
    assert again.probability(columns).tobytes() == model.probability(columns).tobytes()


def test_activity_that_tells_nothing_is_left_out() -> None:
    leads, report = active_leads(9, strength=0.0)
    hazard = fit_hazard(leads, 120.0, {}, half_life_days=None)
    assert (
        fit_activity(
            leads, hazard, np.ones(len(leads)), landmarks(leads, report, (40.0, 60.0)), 120.0, 60
        )
        is None
    )


def test_a_date_before_the_first_purchase_teaches_nothing() -> None:
    leads, report = active_leads(11, strength=0.6)
    closed = Leads(leads.start, leads.converted, 70.0)
    hazard = HazardModel(EDGES, RATES, {})
    assert (
        fit_activity(
            closed, hazard, np.ones(len(leads)), landmarks(leads, report, (40.0, 60.0)), 120.0, 60
        )
        is None
    )


def test_a_hundred_thousand_leads_take_seconds() -> None:
    random = np.random.default_rng(12)
    pages = np.array([f"page {k}" for k in range(500)], dtype=object)[
        random.integers(0, 500, 100_000)
    ]
    leads = simulated_leads(100_000, seed=13)
    began = time.process_time()
    model = fit_lead_conversion(
        leads, 120.0, 90, {"channel": constant("x", 100_000), "page": pages}
    )
    assert time.process_time() - began < 20
    assert model.rows == 100_000
