"""The value of a log's customers over one year and three, as it is and with levers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import iso
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.snapshots import Snapshot
from stagecast.serving.progress import Steps, silently
from stagecast.serving.reading import Reading
from stagecast.serving.requests import WhatIfRequest
from stagecast.serving.runs.models import model_folder
from stagecast.serving.scoring.batch import snapshot
from stagecast.serving.scoring.scorer import Scorer, load_scorer
from stagecast.serving.settings import load_settings
from stagecast.training.models import predict
from stagecast.training.what_if.assumptions import assumptions
from stagecast.training.what_if.levers import Levers, UnreachableError
from stagecast.training.what_if.value import ENDS, WhatIf, what_if

STEPS = 2
USUAL: Final = Levers(churn=-0.05, second_order_days=-10.0, basket=0.05)
"""The changes where none is named."""
AS_IS: Final = "as it is"


@dataclass(frozen=True)
class Group:
    """Value of some customers, in money.

    Parameters
    ----------
    name
        Stage or state; None: all customers.
    customers
        How many of them have bought.
    values
        Name of a scenario, the first :data:`AS_IS` -> value over one year, and over three.
    """

    name: str | None
    customers: int
    values: Mapping[str, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, with the differences from the value as it is."""
        now = self.values[AS_IS]
        scenarios = [
            {
                "name": name,
                **{
                    key: {"value": value, "difference": value - before}
                    for key, value, before in zip(
                        ("one_year", "three_years"), values, now, strict=True
                    )
                },
            }
            for name, values in self.values.items()
        ]
        return {"customers": self.customers, "scenarios": scenarios}


@dataclass(frozen=True)
class WhatIfTable:
    """The value of the customers of a log, as it is and with levers.

    Parameters
    ----------
    as_of
        Where the customers stand.
    model_version
        Of the bundle.
    currency
        Of the values; None where the log does not say it.
    levers
        What is changed.
    by
        What the groups are; None: there are none.
    everybody, groups
        Value of all customers, and of those of each group.
    assumptions
        What the values assume, in sentences.
    """

    as_of: datetime
    model_version: str
    currency: str | None
    levers: Levers
    by: str | None
    everybody: Group
    groups: tuple[Group, ...]
    assumptions: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "as_of": iso(self.as_of),
            "model_version": self.model_version,
            "currency": self.currency,
            "levers": asdict(self.levers),
            "days": {"one_year": ENDS[0], "three_years": ENDS[1]},
            **self.everybody.to_json(),
            "by": self.by,
            "groups": [{"group": group.name, **group.to_json()} for group in self.groups],
            "assumptions": list(self.assumptions),
        }


def work_out(reading: Reading, request: WhatIfRequest, *, steps: Steps = silently) -> WhatIfTable:
    """Work out the value of the customers of a log, as it is and with levers.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The log or the model cannot be read, the model has seen what comes after the as_of, it knows
        no value or no customer base, or it cannot come to what a lever asks for.
    """
    levers = levers_of(request)
    settings = load_settings(tracking_uri=request.tracking_uri)
    scorer = load_scorer(model_folder(request.model, settings), threads=0, with_reasons=False)
    reading = reading.counting_days_of(scorer.bundle.clock.zone)
    with reading.open(None, command="whatif") as log, steps(STEPS) as say:
        say("features")
        as_of = log.choose_as_of(reading.as_of)
        now, _ = snapshot(log, scorer.bundle, as_of)
        if not log.has_amounts:
            raise DataRefusedError(
                "this log has no amounts, so its customers have no value in money; name the "
                "column of the amounts with --amount COL"
            )
        instant = log.clock.instant(as_of)
    say("value")
    return _table(scorer, now, instant, levers, request)


def levers_of(request: WhatIfRequest) -> Levers:
    """Return the levers that are named; the usual ones where none is.

    Raises
    ------
    UsageError
        A change that is out of range, or every named change is 0.
    """
    named = (request.churn, request.second_order, request.basket)
    if named == (None, None, None):
        return USUAL
    levers = Levers(*(value or 0.0 for value in named))
    if levers == Levers():
        raise UsageError(
            "every change that is named is 0, so nothing is changed; name one, like --churn -5%"
        )
    return levers


def _table(
    scorer: Scorer, now: Snapshot, as_of: datetime, levers: Levers, request: WhatIfRequest
) -> WhatIfTable:
    models = scorer.bundle.models
    predicted = predict(models, now, scorer.threads)
    state = scorer.kind.states(models, now)
    notes: list[str] = []
    try:
        result = what_if(models, now, predicted, state == "active", levers, scorer.threads)
    except UnreachableError as error:
        # who names no change is not to be refused for one of the usual ones
        if levers is not USUAL:
            raise
        notes.append(f"Left out: {error}.")
        levers = replace(USUAL, second_order_days=0.0)
        result = what_if(models, now, predicted, state == "active", levers, scorer.threads)
    config = models.config
    sentences = assumptions(result, config.horizon_days, config.annual_discount)
    groups: tuple[Group, ...] = ()
    if request.by is not None:
        ids = np.array(scorer.scheme.ids)[now.stage] if request.by == "stage" else state
        of_buyers = ids[result.rows]
        order = scorer.scheme.ids if request.by == "stage" else ("active", "lapsed", "prospect")
        groups = tuple(
            _group(result, name, of_buyers == name) for name in order if (of_buyers == name).any()
        )
    return WhatIfTable(
        as_of,
        scorer.model_version,
        scorer.bundle.money.currency,
        levers,
        request.by,
        _group(result, None, np.ones(len(result.rows), dtype=bool)),
        groups,
        (*notes, *sentences),
    )


def _group(result: WhatIf, name: str | None, rows: NDArray[np.bool_]) -> Group:
    def total(values: Array) -> tuple[float, float]:
        one_year, three_years = values[rows].sum(axis=0)
        return float(one_year), float(three_years)

    values = {AS_IS: result.as_is, **result.changed}
    return Group(name, int(rows.sum()), {key: total(value) for key, value in values.items()})
