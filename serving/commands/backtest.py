"""``stagecast backtest``: past dates replayed against baselines, as JSON, Parquet and a page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from stagecast.features.clock import iso, parse_span_days
from stagecast.serving.commands.console import show, steps, table
from stagecast.serving.commands.options import (
    as_of_option,
    common,
    learning,
    standing,
    train_config,
)
from stagecast.serving.commands.reading_options import open_log, reading

TOLD, ROWS, REPORT = "backtest.json", "predictions.parquet", "backtest.html"
OURS = (TOLD, ROWS, REPORT)


@click.command()
@reading
@standing
@learning
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write; it must be new or empty.",
)
@click.option(
    "--dates", type=int, default=4, show_default=True, help="Past dates to replay, at most."
)
@click.option("--step", metavar="SPAN", help="From one date to the next; default: the horizon.")
@click.option("--force", is_flag=True, help="Replace the backtest that --out holds.")
@common
def backtest(as_json: bool, out: Path, dates: int, step: str | None, **options: Any) -> None:
    """Past dates replayed against baselines: how good this model would have been, and how
    surely.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from stagecast.features.files import write_text
    from stagecast.serving.reports.backtest_report import render_backtest
    from stagecast.serving.runs.folders import new_folder
    from stagecast.training.judging.backtest import replay
    from stagecast.training.judging.verdict import verdict

    config = train_config(options)
    step_days = None if step is None else parse_span_days(step, "--step")
    with (
        new_folder(out, OURS, force=options["force"]) as draft,
        open_log(options) as log,
        steps(max(dates, 1) + 2) as say,
    ):
        as_of = log.choose_as_of(as_of_option(options))
        config = replace(config, known_at_start=log.known_at_start)
        replays = list(replay(log.con, as_of, config, dates=dates, step_days=step_days, say=say))
        say("figures and their intervals")
        told = {
            "as_of": iso(as_of),
            "scheme": config.scheme,
            **verdict(replays, config.horizon_days, config.seed),
        }
        told["log"] = log.report.to_json()
        say("report")
        # a method that could not be fitted at a date is null there
        pq.write_table(
            pa.concat_tables([one.table() for one in replays], promote_options="default"),
            draft / ROWS,
        )
        write_text(
            draft / TOLD, json.dumps(told, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
        )
        write_text(draft / REPORT, render_backtest(told))
    if as_json:
        click.echo(json.dumps({"out": str(out), **told}, ensure_ascii=False, allow_nan=False))
        return
    show(_lines(told, out))


def _lines(told: dict[str, Any], out: Path) -> list[str]:
    """Return the verdict for a terminal: the grade, the methods beside each other, the dates,
    the files.
    """
    head = ["method", "log loss", "95 %", "AUC", "calibration", "lift 10 %", "ours is"]
    against = {row["name"]: row for row in told["against"]}
    rows = [
        [
            row["label"],
            f"{row['log_loss']:.4f}",
            ""
            if row["log_loss_low"] is None
            else f"{row['log_loss_low']:.4f}-{row['log_loss_high']:.4f}",
            "" if row["auc"] is None else f"{row['auc']:.3f}",
            f"{row['calibration_error']:.3f}",
            f"{row['lift_10']:.2f}" if "lift_10" in row else "",
            _compared(against.get(row["name"])),
        ]
        for row in told["models"]
    ]
    lines = [
        f"grade {told['grade']}: {told['grade_sentence']}",
        f"{len(told['dates'])} dates, {told['dates'][0]['as_of'][:10]} to "
        f"{told['dates'][-1]['as_of'][:10]}, "
        f"{told['horizon_days']} days ahead, {told['customers']:,} customers",
        "",
        *table([head, *rows], {1, 2, 3, 4, 5, 6}),
    ]
    if told["spend"]:
        lines += [
            "",
            *table(
                [
                    ["spend", "mean error", "total"],
                    *([r["label"], *_spent(r)] for r in told["spend"]),
                ],
                {1, 2},
            ),
        ]
    if told["coverage"]:
        lines.append(
            "90 % ranges of the expected spend held "
            f"{told['coverage']['expected_spend']:.1%} of what came"
        )
    return [
        *lines,
        "",
        f"  {out / REPORT!s:<36} the report; open it in a browser",
        f"  {out / TOLD!s:<36} the same as JSON",
        f"  {out / ROWS!s:<36} every prediction beside what came",
    ]


def _compared(row: dict[str, Any] | None) -> str:
    if row is None or row["relative"] is None or row["low"] is None:
        return ""
    sure = "" if row["low"] <= 0 <= row["high"] else " *"
    return f"{abs(row['relative']):.1%} {'better' if row['relative'] < 0 else 'worse'}{sure}"


def _spent(row: dict[str, Any]) -> tuple[str, str]:
    return f"{row['mae']:,.2f}", "" if row["bias"] is None else f"{row['bias']:+.1%}"
