"""Before and after a date: by hand, without later events, and with too little data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stagecast.features.describe.effectiveness import BeforeAfter, Costs, Measure, before_after
from stagecast.features.describe.effectiveness.windows import Window, choose_windows
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys
from tests.features.describe.effectiveness.made import DAY, SCHEME, purchases, simulated, spells

EMPTY: NDArray[np.int64] = np.zeros(0, dtype=np.int64)


def costs(*rows: tuple[int, int, float]) -> Costs:
    return Costs(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] * DAY for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.float64),
    )


def compared(
    days: PurchaseDays,
    journeys: Journeys,
    customers: int,
    date: float = 35,
    as_of: float = 70,
    **options: Any,
) -> BeforeAfter:
    first_events = options.pop("first_events", np.zeros(customers, dtype=np.int64))
    expenses = options.pop("costs", None)
    return before_after(
        journeys,
        days,
        customers,
        first_events,
        expenses,
        int(date * DAY),
        int(as_of * DAY),
        **options,
    )


def measure_of(result: BeforeAfter, key: str) -> Measure:
    return next(measure for measure in result.measures if measure.kind.id == key)


BY_HAND = purchases(
    [
        (0, 0, 10),
        (0, 3, 20),
        (0, 40, 30),
        (1, 2, 5),
        (1, 34, 7),
        (1, 36, 8),
        (1, 39, 2),
        (2, 50, 100),
    ]
)
# customer 0 leaves stage 1 after 3 days, customer 1 stays on it beyond the date, customer 2 comes
# to it on day 50
SPELLS = spells([(0, 0, 1), (0, 3, 2), (1, 2, 1), (1, 40, 2), (2, 50, 1)])
STAGE_1, STAGE_2 = (f"days_on:{SCHEME.stages[position].id}" for position in (1, 2))


def test_worked_by_hand() -> None:
    result = compared(
        BY_HAND,
        SPELLS,
        3,
        costs=costs((0, 1, 2.0), (1, 34, 4.0), (2, 55, 9.0), (2, 35, 50.0), (2, 70, 99.0)),
    )
    assert (result.before, result.after) == (Window(0, 35), Window(35, 70))
    assert (result.look_back_days, result.stay_limit_days) == (0, 14)
    assert (result.customers_before, result.customers_after) == (2, 3)

    def values(key: str) -> tuple[float | None, float | None]:
        return measure_of(result, key).before, measure_of(result, key).after

    assert values("sales") == pytest.approx((42 / 35, 140 / 35))
    # days after the first purchase of a window: 34 and 32 before; 29, 33 and 19 after
    assert values("sales_per_customer") == pytest.approx((27 / 66 * 30, 2 / 81 * 30))
    assert values("orders_per_customer") == pytest.approx((2 / 66 * 30, 1 / 81 * 30))
    # costs of customer 2 before the first purchase do not count
    assert values("cost_per_customer") == pytest.approx((6 / 66 * 30, 9 / 81 * 30))
    # in days 0 to 4 customers 0 (again after 3 days) and 1 (after 32); in days 35 to 39 customer 1
    # only
    assert values("bought_again") == pytest.approx((1 / 2, 1.0))
    # of two spells on stage 1 one ends after 3 of 14 days; of the one after the date none
    assert values(STAGE_1) == pytest.approx((3 + 11 / 2, 14.0))
    assert values(STAGE_2) == pytest.approx((14.0, 14.0))
    sales = measure_of(result, "sales")
    assert sales.difference == pytest.approx(98 / 35)
    assert sales.relative_difference == pytest.approx(98 / 42)


def test_customers_of_a_window_are_those_who_bought_in_it_or_in_an_equal_look_back() -> None:
    # known from day 0; a window of four weeks from day 28 looks back as long, to day 0
    log = purchases([(0, 1, 1.0), (0, 33, 1.0), (1, 30, 1.0), (2, 60, 1.0), (3, 27, 1.0)])
    result = compared(log, spells([]), 4, date=56, as_of=84)
    assert (result.before.start, result.look_back_days) == (28, 28)
    assert (result.customers_before, result.customers_after) == (3, 3)
    # customers 0 and 3 are counted all 28 days, customer 1 the 25 after day 30
    assert measure_of(result, "orders_per_customer").before == pytest.approx(
        1 / (28 + 28 + 25) * 30
    )
    assert "or in the 28 days before it, newcomers included (3 before, 3 after)" in " ".join(
        result.caveats
    )


def test_thirty_days_later_is_again_and_thirty_one_is_not() -> None:
    log = purchases([(0, 0, 1.0), (0, 30, 1.0), (1, 1, 1.0), (1, 32, 1.0)])
    assert measure_of(compared(log, spells([]), 2), "bought_again").before == 0.5


def test_a_stay_that_ends_at_the_date_is_censored_before_it() -> None:
    result = compared(BY_HAND, spells([(0, 25, 1), (0, 35, 2), (1, 0, 1)]), 3)
    assert measure_of(result, STAGE_1).before == 14.0
    earlier_end = compared(BY_HAND, spells([(0, 25, 1), (0, 34, 2), (1, 0, 1)]), 3)
    assert measure_of(earlier_end, STAGE_1).before == (9 + 14) / 2


def cut(days: PurchaseDays, journeys: Journeys, end: int) -> tuple[PurchaseDays, Journeys]:
    bought_before, begun_before = days.day < end, journeys.start < end * DAY
    return (
        PurchaseDays(
            days.customer[bought_before],
            days.day[bought_before],
            days.spend[bought_before],
            days.first_purchase[bought_before],
        ),
        Journeys(
            journeys.scheme,
            journeys.customer[begun_before],
            journeys.stage[begun_before],
            journeys.start[begun_before],
        ),
    )


@pytest.mark.parametrize("seed", range(3))
def test_nothing_at_or_after_the_as_of_enters(seed: int) -> None:
    days, journeys, first = simulated(
        np.random.default_rng(seed), 80, np.full(200, 0.05), np.full(200, 9.0)
    )
    expense = Costs(days.customer, days.first_purchase, days.spend / 10)
    full = compared(days, journeys, 80, 77, 154, first_events=first, costs=expense)
    before_as_of = expense.instant < 154 * DAY
    known_expense = Costs(
        *(getattr(expense, name)[before_as_of] for name in ("customer", "instant", "amount"))
    )
    cut_off = compared(
        *cut(days, journeys, 154), 80, 77, 154, first_events=first, costs=known_expense
    )
    assert full.to_json() == cut_off.to_json()


@pytest.mark.parametrize("seed", range(3))
def test_measures_before_the_date_do_not_depend_on_what_follows(seed: int) -> None:
    days, journeys, first = simulated(
        np.random.default_rng(seed), 80, np.full(154, 0.05), np.full(154, 9.0)
    )
    full = compared(days, journeys, 80, 77, 154, first_events=first)
    cut_off = compared(*cut(days, journeys, 77), 80, 77, 154, first_events=first)
    assert {m.kind: m.before for m in cut_off.measures} == {m.kind: m.before for m in full.measures}
    assert measure_of(full, "sales").after != measure_of(cut_off, "sales").after


def test_windows_are_the_longest_of_whole_weeks_and_at_most_a_year() -> None:
    def length(date: int, as_of: int) -> int:
        return choose_windows(date * DAY, 0, as_of * DAY).before.days

    assert [length(28, 56), length(34, 69), length(500, 700), length(900, 1900)] == [
        28,
        28,
        196,
        364,
    ]
    # the whole day of the first event counts, and of the as_of's day nothing
    assert choose_windows(38 * DAY, 10 * DAY + 5, 66 * DAY + 1).after == Window(38, 66)


def test_the_year_before_is_52_weeks_earlier_and_leaves_a_shorter_look_back() -> None:
    windows = choose_windows(500 * DAY, 0, 556 * DAY)
    assert windows.year_before == (Window(80, 136), Window(136, 192))
    assert windows.look_back_days == 56
    assert choose_windows(425 * DAY, 0, 481 * DAY).look_back_days == 0
    assert choose_windows(419 * DAY, 0, 475 * DAY).year_before is None


@pytest.mark.parametrize(
    ("date", "as_of", "error", "message"),
    [
        (
            27,
            100,
            NotEnoughDataError,
            "knows 27 days before 1970-01-28.* choose a date from 1970-01-29 to 1970-03-14",
        ),
        (
            73,
            100,
            NotEnoughDataError,
            "27 days from it on.* choose a date from 1970-01-29 to 1970-03-14",
        ),
        (
            30,
            55,
            NotEnoughDataError,
            "no date would do: the log is 55 days long, and 56 are needed",
        ),
        (
            0,
            100,
            UsageError,
            "1970-01-01 is not inside the log, which reaches from 1970-01-01 to 1970-04-11",
        ),
        (100, 100, UsageError, "not inside the log.* choose a date from"),
        (
            40.5,
            100,
            UsageError,
            "1970-02-10T12:00:00Z is no midnight UTC; give a day, like 1970-02-10",
        ),
    ],
)
def test_an_impossible_date_is_refused_with_the_possible_ones(
    date: float, as_of: float, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        compared(BY_HAND, SPELLS, 3, date, as_of)


def test_a_date_28_days_from_either_end_of_the_log_is_possible() -> None:
    result = compared(BY_HAND, SPELLS, 3, 28, 56)
    assert (result.before, result.after) == (Window(0, 28), Window(28, 56))
    assert "windows of 28 days are too short to see 30 days beyond a purchase" in " ".join(
        result.left_out
    )


def test_a_log_without_events_before_the_as_of_says_so() -> None:
    never = np.full(3, np.iinfo(np.int64).max)
    with pytest.raises(NotEnoughDataError, match="no event stands before the as_of 1970-03-12"):
        compared(BY_HAND, SPELLS, 3, first_events=never)


def test_tables_of_different_customers_are_refused() -> None:
    with pytest.raises(UsageError, match="2 first events of 3 customers"):
        compared(BY_HAND, SPELLS, 3, first_events=np.zeros(2, dtype=np.int64))


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        (costs((0, 1, 1.0), (3, 1, 1.0)), "row 1: customer 3 is none of the 3"),
        (costs((0, 1, float("nan"))), "row 0: amount nan"),
        (Costs(EMPTY, EMPTY, np.ones(1)), "0, 1. rows long"),
    ],
)
def test_unusable_costs_are_named(invalid: Costs, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compared(BY_HAND, SPELLS, 3, costs=invalid)


def test_without_amounts_orders_are_compared_instead_of_sales() -> None:
    result = compared(BY_HAND, SPELLS, 3, has_amounts=False)
    keys = [measure.kind.id for measure in result.measures]
    assert keys[:2] == ["orders", "orders_per_customer"]
    assert not any(key.startswith(("sales", "cost")) for key in keys)
    assert measure_of(result, "orders").before == pytest.approx(4 / 35)
    assert "no purchase of the log says what was paid" in result.left_out[0]
    assert not any("Refunds" in caveat for caveat in result.caveats)


def test_measures_per_customer_are_unknown_without_a_purchase_before() -> None:
    log = purchases([(row, 40 + row % 20, 5.0) for row in range(60)])
    result = compared(log, spells([]), 60)
    sales, per_customer = measure_of(result, "sales"), measure_of(result, "sales_per_customer")
    assert (sales.before, sales.after, sales.relative_difference) == (
        0.0,
        pytest.approx(300 / 35),
        None,
    )
    assert (
        per_customer.before,
        per_customer.difference,
        per_customer.spread,
        per_customer.beyond_chance,
    ) == (
        None,
        None,
        None,
        False,
    )
    assert "after the date; the other side cannot be told" in per_customer.sentence
    assert any("Nobody bought in the earlier window" in caveat for caveat in result.caveats)


def test_one_customer_gets_no_verdict() -> None:
    result = compared(purchases([(0, 1, 5.0), (0, 5, 5.0), (0, 36, 50.0)]), spells([(0, 1, 1)]), 1)
    sales = measure_of(result, "sales")
    assert (sales.spread, sales.beyond_chance, result.comparisons) == (None, False, 0)
    assert "too few customers to tell" in sales.sentence
    assert result.headline == "Too few customers on one side of the date to compare anything."


def test_a_log_without_purchases_has_sales_of_nothing() -> None:
    result = compared(purchases([]), spells([]), 5)
    assert [(m.kind.id, m.before, m.after) for m in result.measures] == [("sales", 0.0, 0.0)]


def test_costs_on_one_side_only_are_reported_and_not_compared() -> None:
    result = compared(BY_HAND, SPELLS, 3, costs=costs((0, 44, 2.0)))
    cost = measure_of(result, "cost_per_customer")
    assert (cost.before, cost.after) == (None, pytest.approx(2 / 81 * 30))
    assert any("no cost is known before 1970-02-14" in caveat for caveat in result.caveats)


def test_a_stage_without_spells_long_enough_is_left_out_with_the_reason() -> None:
    # they come to stage 2 a week before their window ends
    late = spells([(row, day, 2) for row in range(40) for day in (28, 63)])
    result = compared(BY_HAND, late, 40)
    assert all(measure.kind.id != STAGE_2 for measure in result.measures)
    assert any("followed for 14 days" in reason and "stage" in reason for reason in result.left_out)


def test_json_and_table_hold_the_same_numbers() -> None:
    rates = np.full(154, 0.05)
    days, journeys, first = simulated(np.random.default_rng(1), 90, rates, np.full(154, 9.0))
    result = compared(days, journeys, 90, 77, 154, first_events=first)
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    table = result.to_table().to_pylist()
    assert [row["id"] for row in table] == [measure["id"] for measure in data["measures"]]
    shared = set(table[0]) & set(data["measures"][0])
    assert {"before", "after", "low", "high", "beyond_chance", "sentence"} <= shared
    assert [{name: row[name] for name in shared} for row in table] == [
        {name: measure[name] for name in shared} for measure in data["measures"]
    ]
    assert data["windows"]["after"]["end"] == "1970-06-04"
    assert data["comparisons"] == len(table) == 6


def test_same_input_same_answer() -> None:
    days, journeys, first = simulated(
        np.random.default_rng(2), 60, np.full(70, 0.1), np.full(70, 9.0)
    )
    first_result, second_result = (
        compared(days, journeys, 60, first_events=first).to_json() for _ in range(2)
    )
    assert first_result == second_result
