"""A number that rounds to nothing has no minus, on the terminal and in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

from stagecast.features.plain_json import to_json
from stagecast.features.shop.money import exact_money, money, precise_money
from stagecast.serving.commands.readout_lines import _interval
from stagecast.serving.languages.display import Display
from stagecast.serving.targeting.trial.intervals import Interval


@dataclass(frozen=True)
class Ends:
    low: float
    high: float


def test_what_rounds_to_nothing_has_no_minus() -> None:
    assert _interval(Interval(-0.001, -0.0, 2.0)) == "0.00 [0.00, 2.00]"
    assert json.dumps(to_json(Ends(-0.0, -0.001))) == '{"low": 0.0, "high": -0.001}'
    assert (money(-0.001, "USD"), precise_money(-0.001), exact_money(-0.001)) == (
        "$0.00",
        "0.00",
        "0",
    )
    assert (Display().places(-0.001, 1), Display().share(-0.0001, 1)) == ("0.0", "0.0%")
