"""The stages of a log's customers in files: where each stands, every spell, one explained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stagecast.features.errors import UsageError
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_files import thresholds_to_json
from stagecast.serving.jobs.stage_explanation import explain
from stagecast.serving.reading import Reading
from stagecast.serving.requests import StagesRequest
from stagecast.serving.runs.stage_table import (
    StagesOf,
    history_table,
    stage_table,
    stages_of,
    with_lead_grades,
)
from stagecast.serving.runs.table_files import check_targets, write_scores


@dataclass(frozen=True)
class StageFiles:
    """Stages that were written.

    Parameters
    ----------
    stages
        The customers of the log, and their lifecycle.
    explained
        One customer's stages, as :func:`~stagecast.serving.jobs.stage_explanation.explain` gives
        them; None: nobody was asked for.
    files
        Option -> file that was written.
    """

    stages: StagesOf
    explained: dict[str, Any] | None
    files: dict[str, Path]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without the customers."""
        life = self.stages.life
        return {
            "thresholds": thresholds_to_json(life.scheme.thresholds),
            "assumed": sorted(life.scheme.assumed),
            "merged": {stage: list(into) for stage, into in life.merged.items()},
            "customers": len(self.stages.ids),
            **{option: str(path) for option, path in self.files.items()},
            **({} if self.explained is None else {"explained": self.explained}),
        }


def write_stages(reading: Reading, scheme: Scheme, request: StagesRequest) -> StageFiles:
    """Write the stages of a log's customers, and explain those of one.

    A scheme with grades of leads has them in the columns ``lead_points`` and ``lead_grade``, by the
    points of the package.

    Raises
    ------
    stagecast.features.errors.StagecastError
        Nothing is asked for, the log cannot be read, a file cannot be written, or there is no such
        customer.
    """
    out, history, customer = request.out, request.history, request.explain
    if out is None and history is None and customer is None:
        raise UsageError(
            "say what is wanted: --out FILE, --history FILE, --explain CUSTOMER or --list"
        )
    check_targets(out=out, history=history)
    with reading.open(out, history, command="stages") as log:
        as_of = log.choose_as_of(reading.as_of)
        keep_facts = history is not None or customer is not None
        stages = stages_of(log, as_of, scheme, keep_facts=keep_facts)
        explained = None if customer is None else explain(stages, customer)
        if out is not None:
            rows = stage_table(stages)
            if scheme.lead_grades:
                from stagecast.serving.jobs.leads import graded_leads  # fits models

                rows = with_lead_grades(rows, graded_leads(log, reading.own, as_of))
            write_scores(rows, out)
        if history is not None:
            write_scores(history_table(stages), history)
    files = {"out": out, "history": history}
    return StageFiles(
        stages, explained, {option: path for option, path in files.items() if path is not None}
    )
