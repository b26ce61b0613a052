"""How many customers stand on each stage, for people: what commands print of a scheme."""

from __future__ import annotations

import math
from collections.abc import Mapping

from stagecast.features.stages.lifecycle import merged_sentences
from stagecast.features.stages.scheme import Scheme
from stagecast.serving.commands.console import table


def stage_lines(
    counts: Mapping[str, int], scheme: Scheme, merged: Mapping[str, tuple[str, ...]] | None = None
) -> list[str]:
    """Return customers per stage, the thresholds that the rules compare with, and the stages
    that are merged.
    """
    total = max(sum(counts.values()), 1)
    rows = [["stage", "customers", "share", "meaning"]]
    for name, count in counts.items():
        rows.append([name, f"{count:,}", f"{count / total:.1%}", scheme[name].meaning["en"]])
    lines = table(rows, {1, 2})
    named = sorted({c.bound for c in scheme.conditions if not c.is_number})
    if named:
        lines.append("thresholds: " + ", ".join(_threshold(scheme, name) for name in named))
    return [*lines, *merged_sentences(scheme, merged or {})]


def _threshold(scheme: Scheme, name: str) -> str:
    value = scheme.thresholds[name]
    told = "never" if math.isinf(value) else f"{value:,.6g}"
    return f"{name} {told}{' (pinned)' if name in scheme.pins else ''}"
