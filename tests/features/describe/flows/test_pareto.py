"""The best customers: by hand, the shape of the curve, and logs without value."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given

from stagecast.features.describe.flows import Concentration, pareto
from tests.features.describe.flows.made import Log, at, bought, logs, rows

AS_OF = at(100)
# 50, 30, 10 and 10 of 100, over 2, 1, 1 and 1 orders
SHOP = bought([(0, 10.0)], [(0, 20.0), (1, 30.0)], [(5, 10.0)], [], [(7, 30.0)])


def test_worked_by_hand() -> None:
    curve, concentration = pareto(SHOP, AS_OF)
    # two of the four buyers bring 80; the best 20 % are 0.8 of the best buyer, who brings 50
    assert concentration == Concentration("spend", 4, 100.0, 2, 0.5, 0.4)
    points = rows(curve)
    assert len(points) == 101
    assert [points[k] for k in (0, 25, 50, 75, 100)] == [
        (0.0, 0.0),
        (0.25, 0.5),
        (0.5, 0.8),
        (0.75, 0.9),
        (1.0, 1.0),
    ]


def test_without_amounts_the_value_is_the_number_of_orders() -> None:
    curve, concentration = pareto(SHOP, AS_OF, has_amounts=False)
    # 2, 1, 1, 1 of 5: the third buyer brings the sum to 4 of 5
    assert concentration == Concentration("orders", 4, 5.0, 3, 0.75, pytest.approx(0.32))
    assert rows(curve)[25] == (0.25, pytest.approx(0.4))


def test_eighty_percent_is_met_exactly() -> None:
    # added up in floating point, sixteen times 16.1 is less than 0.8 of twenty times 16.1
    assert pareto(bought(*[[(0, 16.1)]] * 20), AS_OF)[1].buyers_for_80 == 16


@given(logs())
def test_the_curve_is_concave_and_ends_at_all_of_the_value(log: Log) -> None:
    curve, concentration = pareto(log.days, at(log.as_of))
    spent = [log.spend(c, 0, at(log.as_of)) for c in range(len(log.paths))]
    assert concentration.total == pytest.approx(sum(spent), abs=1e-9)
    if not sum(spent):
        assert curve["share_of_value"].null_count == len(curve)
        return
    shares = curve["share_of_value"].to_pylist()
    steps = [after - before for before, after in pairwise(shares)]
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(steps))
    best = sorted(spent, reverse=True)
    assert concentration.buyers_for_80 is not None
    assert sum(best[: concentration.buyers_for_80]) >= 0.8 * sum(spent) - 1e-9
    assert sum(best[: concentration.buyers_for_80 - 1]) < 0.8 * sum(spent)


def test_all_was_free() -> None:
    curve, concentration = pareto(bought([(0, 0.0)], [(1, 0.0)]), AS_OF)
    assert concentration == Concentration("spend", 2, 0.0, None, None, None)
    assert (len(curve), curve["share_of_value"].null_count) == (101, 101)


def test_nobody_bought() -> None:
    curve, concentration = pareto(bought([(200, 5.0)]), AS_OF)
    assert concentration == Concentration("spend", 0, 0.0, None, None, None)
    assert len(curve) == 0


def test_one_buyer_brings_all() -> None:
    assert pareto(bought([(0, 5.0)]), AS_OF)[1] == Concentration(
        "spend", 1, 5.0, 1, 1.0, pytest.approx(0.2)
    )
