"""One customer's stage explained: which rule holds, on which facts, since when, how it came,
what comes next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stagecast.features.clock import SHOP, from_microseconds, iso, microseconds
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.serving.runs.stage_table import StagesOf

_NEAREST = 2_000  # ids that are looked through for one that was meant


def explain(stages: StagesOf, customer: str) -> dict[str, Any]:
    """Return everything that is known of one customer's stages, JSON-ready.

    Raises
    ------
    UsageError
        No such customer before the as_of; the message names the nearest id.
    """
    row = int(np.searchsorted(stages.ids.astype(str), customer))
    if row >= len(stages.ids) or stages.ids[row] != customer:
        near = stages.ids[max(0, row - _NEAREST) : row + _NEAREST].tolist()
        raise UsageError(
            f"--explain '{customer}': no event of this customer stands before {iso(stages.as_of)}."
            f"{did_you_mean(customer, near) or f' Ids look like {stages.ids[0]!r}.'}"
        )
    scheme, journeys = stages.life.scheme, stages.life.journeys
    here = stages.standing.take(np.array([row]))
    stage = scheme.stages[int(here.stage[0])]
    mine = np.flatnonzero(journeys.customer == row)
    facts = {name: values[mine] for name, values in journeys.facts.items()}
    rules = scheme.explain(journeys.stage[mine], facts).to_pylist()

    def began(start: np.int64) -> str:
        time = from_microseconds(int(start)).replace(tzinfo=SHOP)
        return iso(stages.clock.instant(time))

    spells = [
        {
            "stage": scheme.ids[int(journeys.stage[k])],
            "from": began(journeys.start[k]),
            "rule": rule,
        }
        for k, rule in zip(mine, rules, strict=True)
    ]
    begun = int((journeys.start[mine] < microseconds(stages.as_of)).sum())
    group = int(scheme.group(here.facts)[0]) if scheme.groups else -1
    return {
        "customer_id": customer,
        "as_of": iso(stages.as_of),
        "scheme": scheme.id,
        "stage": stage.id,
        "title": dict(stage.title),
        "meaning": stage.meaning["en"],
        "since": began(here.since[0]),
        "rule": scheme.explain(here.stage, here.facts)[0].as_py(),
        "facts": {
            name: _number(values[0])
            for name, values in sorted(here.facts.items())
            if name in scheme.features
        },
        "group": None if group < 0 else scheme.groups[group].id,
        "history": spells[:begun],
        "if_silent": spells[begun:],
        "action": stage.action["en"],
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
