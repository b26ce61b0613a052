"""A backtest in MLflow: a run, a nested one for each date, and no run left open."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagecast.features.errors import UsageError
from stagecast.training.backtest_tracking import log_backtest
from stagecast.training.config import TrainConfig
from stagecast.training.judging.verdict import verdict
from tests.training.judging.test_verdict import made

pytestmark = pytest.mark.slow


def test_a_backtest_is_a_run_with_a_nested_one_for_each_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    monkeypatch.chdir(tmp_path)
    result = verdict([made(1), made(2, at=60)], 60, 1)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "backtest.json").write_text("{}", encoding="utf-8")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    run_id = log_backtest(uri, TrainConfig(horizon_days=60), result, None, "2020-06-01", folder)
    client = MlflowClient(uri)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["log_loss"] == pytest.approx(result.models[0].log_loss)
    assert run.data.metrics["recency_log_loss"] == pytest.approx(result.models[1].log_loss)
    assert run.data.params["horizon_days"] == "60"
    assert [file.path for file in client.list_artifacts(run_id)] == ["backtest.json"]
    runs = client.search_runs([run.info.experiment_id])
    nested = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == run_id]
    assert {r.data.params["as_of"] for r in nested} == {date.as_of for date in result.dates}
    losses = {r.data.params["as_of"]: r.data.metrics["log_loss"] for r in nested}
    for date in result.dates:
        assert losses[date.as_of] == pytest.approx(date.log_loss["stagecast"])

    def full(*_: object) -> None:
        raise MlflowException("the disk is full")

    monkeypatch.setattr(MlflowClient, "log_artifacts", full)
    with pytest.raises(UsageError, match="did not take the backtest: the disk is full"):
        log_backtest(uri, TrainConfig(), result, None, "2020-06-02", folder)
    runs = client.search_runs([run.info.experiment_id])
    assert [r.info.status for r in runs if r.data.params.get("as_of") == "2020-06-02"] == ["FAILED"]
    assert "RUNNING" not in {r.info.status for r in runs}
