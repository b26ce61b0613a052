"""What commands print of the thresholds of stages."""

from __future__ import annotations

from dataclasses import replace

from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.commands.stage_lines import stage_lines


def test_a_threshold_of_money_is_written_in_digits() -> None:
    retail = load_scheme("retail")
    thresholds = dict.fromkeys((c.bound for c in retail.conditions if not c.is_number), 2.25) | {
        "loyal_spend": 16_000_000.0
    }
    lines = stage_lines({"new": 1}, replace(retail, thresholds=thresholds))
    assert "loyal_spend 16,000,000" in lines[-1]
    assert "sleeping_ratio 2.25" in lines[-1]
