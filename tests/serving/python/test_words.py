"""Errors in Python name arguments of Python, never options or commands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import click
import pandas as pd
import pytest

import stagecast as sc
from stagecast.features.errors import StagecastError
from stagecast.serving.commands.reading_options import reading_options
from stagecast.serving.commands.training_options import learning
from stagecast.serving.python.words import ARGUMENTS, in_python_words

ROWS = pd.DataFrame(
    {
        "who": ["a", "a", "b"],
        "when": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"]),
        "paid": [1.0, -2.0, 3.0],
    }
)
ROOT = Path(__file__).parent
ONLY_OF_THE_COMMAND_LINE = {"events", "engine", "master", "spark_conf", "as_of", "track"}


def read(**options: object) -> sc.EventLog:
    chosen = {"customer": "who", "time": "when", "amount": "paid"} | options
    return sc.read_events(ROWS, **chosen)  # type: ignore[arg-type]


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "nothing mapped": (lambda: sc.read_events(ROWS), 'customer="COL"'),
    "a column that is not there": (lambda: read(amount="paid * rate"), "amount='paid * rate'"),
    "a zone that is none": (lambda: read(zone="Europe/Lond"), "zone='Europe/Lond'"),
    "too much refused": (lambda: read(max_rejected="0"), "negative_amounts='refund'"),
    "rates without a currency": (lambda: read(rates={"USD": 0.9}), "report_currency"),
    "an as_of before the log": (lambda: read().features("2020-01-01"), "as_of='2020-01-01'"),
    "an as_of that is none": (lambda: read().stages("1st of May"), "as_of='1st of May'"),
    "a scheme that is none": (lambda: read().stages(scheme="retial"), "scheme='retial'"),
    "a horizon without a unit": (lambda: read().check(horizon="90"), "horizon='90'"),
    "a horizon that is too long": (
        lambda: sc.Lifecycle(horizon="900d").fit(read()),
        "horizon='900d'",
    ),
    "no cancellation": (
        lambda: sc.Lifecycle(churn="cancellation", horizon="7d").fit(read()),
        "churn='cancellation'",
    ),
    "a model before its training": (
        lambda: sc.monitor(sc.Lifecycle(horizon="7d").fit(read()), read(), "2024-02-02"),
        "as_of='2024-02-02'",
    ),
    "a folder that holds something else": (
        lambda: sc.run(read(), ROOT, sc.TrainConfig(horizon_days=7)),
        f"out='{ROOT}' holds",
    ),
    "a scorer of no model": (lambda: sc.load_scorer("nowhere"), "Lifecycle.save"),
    "a folder without a model": (lambda: sc.load("nowhere"), "Lifecycle.save"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_error_names_the_argument(mistake: str) -> None:
    call, named = MISTAKES[mistake]
    with pytest.raises(StagecastError) as raised:
        call()
    message = str(raised.value)
    assert named in message
    assert not re.search(r"--[a-z]|`stagecast", message), message


def parameters(command: Callable[..., object]) -> set[str]:
    return {str(parameter.name) for parameter in getattr(command, "__click_params__", [])}


def test_every_option_of_reading_is_an_argument() -> None:
    @click.command()
    def command() -> None: ...

    for option in reading_options():
        command = option(command)
    names = {str(parameter.name) for parameter in command.params}
    arguments = set(inspect.signature(sc.read_events).parameters)
    assert names - ONLY_OF_THE_COMMAND_LINE <= arguments
    assert {"customer", "amount", "max_rejected"} <= names


def test_every_option_of_a_training_is_a_parameter() -> None:
    names = {ARGUMENTS.get(name, name) for name in parameters(learning(lambda: None))}
    known = set(sc.Lifecycle().get_params())
    assert names - ONLY_OF_THE_COMMAND_LINE - {"tracking_uri"} <= known
    assert {"horizon", "churn", "seed"} <= names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("leave --as-of out", "leave as_of out"),
        ("--decimal and --thousands are both", "decimal and thousands are both"),
        ("give --encoding utf-16.", "give encoding='utf-16'."),
        ("--encoding says otherwise", "encoding says otherwise"),
        ("--discount-amount NULL leaves it", 'discount_amount="NULL" leaves it'),
        ("--time-format '%d/%m/%Y' fits", "time_format='%d/%m/%Y' fits"),
        ("a day-book -- kept", "a day-book -- kept"),
        ("is read by --decimal , --thousands .", "is read by decimal=',' thousands='.'"),
        ("choose a date, or leave --as-of.", "choose a date, or leave as_of."),
        ("replace it with --force, or name another", "replace it with force=True, or name another"),
    ],
)
def test_options_become_arguments(text: str, expected: str) -> None:
    assert in_python_words(text) == expected
