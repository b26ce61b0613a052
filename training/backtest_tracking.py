"""A backtest in MLflow: one run, and a nested one for each of its dates.

MLflow is imported when it is first used, and never by the running server.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stagecast.features.errors import UsageError
from stagecast.training.config import TrainConfig
from stagecast.training.judging.evaluation_result import OURS, ValueEvaluation
from stagecast.training.judging.verdict_result import DateVerdict, Verdict
from stagecast.training.tracking import _client, _experiment

PARENT, KIND = "mlflow.parentRunId", "stagecast.kind"


def log_backtest(
    tracking_uri: str,
    config: TrainConfig,
    verdict: Verdict,
    value: ValueEvaluation | None,
    as_of: str,
    folder: Path,
) -> str:
    """Log a backtest that was written, and return the id of its run.

    The run has the settings, the figures of all methods over the dates, those of ours by segment,
    and the files; the nested run of each date has the figures of that date. Where MLflow fails in
    between, the runs that were begun are closed as FAILED.

    Parameters
    ----------
    tracking_uri
        ``sqlite:///mlflow.db``, or the address of a server.
    config
        Settings of our model.
    verdict, value
        Results; the value is None where the log is too young to tell.
    as_of
        Time up to which outcomes were known.
    folder
        What was written, which is logged with the run.

    Raises
    ------
    UsageError
        The tracking store cannot be reached or written.
    """
    from mlflow.exceptions import MlflowException

    begun: list[str] = []
    client = None
    try:
        client = _client(tracking_uri)
        experiment = _experiment(client)
        run = client.create_run(
            experiment, tags={KIND: "backtest"}, run_name=f"backtest up to {as_of[:10]}"
        )
        run_id = str(run.info.run_id)
        begun.append(run_id)
        parameters = {**config.to_json(), "as_of": as_of, "dates": len(verdict.dates)}
        for name, setting in parameters.items():
            client.log_param(run_id, name, setting)
        client.set_tag(run_id, "grade", verdict.grade)
        for name, number in _figures(verdict, value):
            client.log_metric(run_id, name, number)
        for date in verdict.dates:
            nested = client.create_run(
                experiment,
                tags={PARENT: run_id, KIND: "backtest date"},
                run_name=f"as of {date.as_of[:10]}",
            )
            nested_id = str(nested.info.run_id)
            begun.append(nested_id)
            client.log_param(nested_id, "as_of", date.as_of)
            for name, number in _of_date(date):
                client.log_metric(nested_id, name, number)
            client.set_terminated(nested_id)
            begun.remove(nested_id)
        client.log_artifacts(run_id, str(folder))
        client.set_terminated(run_id)
    except (MlflowException, OSError) as error:
        for unfinished in begun:
            try:
                if client is not None:
                    client.set_terminated(unfinished, status="FAILED")
            except (MlflowException, OSError):
                break  # it cannot be reached at all
        raise UsageError(
            f"MLflow at {tracking_uri} did not take the backtest: {error}; check --tracking-uri"
        ) from error
    return run_id


def _figures(verdict: Verdict, value: ValueEvaluation | None) -> Iterator[tuple[str, float]]:
    """Yield the figures over all dates; those of another method begin with its name."""
    groups: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("", verdict.models),
        ("spend_", verdict.spend),
        ("next_stage_", verdict.next_stage),
        ("value_", () if value is None else value.models),
    )
    for prefix, methods in groups:
        for method in methods:
            yield from _numbers(_begin(method.name) + prefix, vars(method))
    for differences, name in ((verdict.against, "log_loss"), (verdict.spend_against, "mae")):
        for row in differences:
            yield from _numbers(f"less_{row.name}_{name}_", vars(row))
    for part in verdict.segments:
        begin = f"segment_{part.measured}_{part.segment}_{_named(part.value)}_"
        yield from _numbers(begin, {"ours": part.ours, "best": part.best, "rows": part.rows})
    if verdict.coverage is not None:
        yield from _numbers("coverage_", vars(verdict.coverage))


def _of_date(date: DateVerdict) -> Iterator[tuple[str, float]]:
    yield from _numbers("", {"customers": date.customers, "base_rate": date.base_rate})
    for figure in ("log_loss", "auc", "calibration_error"):
        for name, number in getattr(date, figure).items():
            yield from _numbers(_begin(name), {figure: number})
    for name, figures in (date.money.spend if date.money is not None else {}).items():
        yield from _numbers(f"{_begin(name)}spend_", vars(figures))
    for stage in date.next_stage:
        yield from _numbers(f"{_begin(stage.name)}next_stage_", vars(stage))


def _begin(name: str) -> str:
    return "" if name == OURS else f"{_named(name)}_"


def _numbers(begin: str, figures: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, number in figures.items():
        if isinstance(number, int | float) and math.isfinite(number):
            yield begin + key, float(number)


def _named(text: str) -> str:
    """Return a text with the characters that MLflow takes in the name of a metric."""
    return "".join(c if c.isalnum() or c in "_-. /" else "-" for c in text)
