"""What a plan may be asked for."""

from __future__ import annotations

import json

import pytest

from stagecast.features.errors import UsageError
from stagecast.serving.targeting.plan.names import check_name, check_owner
from stagecast.serving.targeting.plan.terms import (
    Audience,
    Costs,
    Effects,
    Rules,
    Terms,
    terms_from_json,
)

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Effects(keep=1.01), "between 0 and 1, like 0.05 or 5%"),
        (lambda: Effects(win_back=-0.1), "effect of winning back is -0.1"),
        (lambda: Effects(keep=NAN), "effect of keeping is nan"),
        (lambda: Costs(contact=-1), "contact cost is -1"),
        (lambda: Costs(offer=INF), "offer cost is inf"),
        (lambda: Costs(offer_share=1.5), "150% of the order is more than the order"),
        (lambda: Terms(holdout=1.0), "hold-out of 1 cannot be used"),
        (lambda: Terms(holdout=-0.1), "hold-out of -0.1"),
        (lambda: Terms(holdout=NAN), "hold-out of nan"),
        (lambda: Terms(contacts=0), "0 contacts are no plan"),
        (lambda: Terms(budget=-5), "budget is -5"),
        (lambda: Terms(budget=NAN), "budget is nan"),
        (lambda: Terms(window_days=0), "window of 0 days"),
        (lambda: Terms(seed=-1), "seed -1"),
        (lambda: Terms(worth=INF), "worth of a customer is inf"),
        (lambda: Rules(quiet_days=-1), "-1 quiet days"),
        (lambda: Rules(quiet_days=999_999), "give 0 to 3,650"),
        (lambda: Rules(within_days=0), "0 days of the cap"),
        (lambda: Rules(within_days=999_999), "give 1 to 3,650"),
        (lambda: Rules(most_contacts=0), "lets nobody be contacted"),
        (lambda: Rules(min_gain=NAN), "least gain is nan"),
        (lambda: Audience(min_value=NAN), "least value is nan"),
        (lambda: Audience(ids=("a", "")), "an id of a customer is empty"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_value(make, says):
    with pytest.raises(UsageError) as error:
        make()
    assert says in str(error.value)


def test_terms_come_back_from_plain_json():
    terms = Terms(
        Audience(("loyal",), ("a",), ("high",), ("active",), 5.0, ("x", "y")),
        Costs(1.0, 2.0, 0.1),
        Effects(0.1, 0.2),
        Rules(7, 3, 60, True, 1.5),
        contacts=5,
        budget=100.0,
        holdout=0.2,
        standing=True,
        seed=4,
        window_days=30,
        worth=12.0,
    )
    assert terms_from_json(json.loads(json.dumps(terms.to_json()))) == terms


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", ".x", "имя", "x\n", "x" * 65, "a\0"])
def test_a_name_that_cannot_stand_in_a_file_or_an_address_is_refused(name):
    with pytest.raises(UsageError, match="is no name of a plan"):
        check_name(name)


def test_an_owner_is_one_printed_line():
    check_owner("Анна, مشتری")
    for owner in ("a\nb", "a\x1b[2J", "a\0"):
        with pytest.raises(UsageError, match="not printed"):
            check_owner(owner)
