"""Which scheme of stages is used, and what a training is asked for: the options, and the objects
that are made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from stagecast.features.errors import UsageError
from stagecast.serving.commands.configuration import configuration
from stagecast.serving.commands.options import in_place_of, span_days, with_options
from stagecast.serving.requests import TrainingRequest

if TYPE_CHECKING:
    from stagecast.features.contracts import Terms
    from stagecast.features.stages.scheme import Scheme

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class SchemeChoice:
    """Which scheme of stages is asked for.

    Parameters
    ----------
    name
        Of a scheme of the package, or path of a TOML file.
    pins
        Threshold -> value that stands fixed, whatever the log says.
    on_the_line
        Whether the scheme was named on the command line.
    """

    name: str
    pins: Mapping[str, float] = field(default_factory=dict)
    on_the_line: bool = False

    def load(self) -> Scheme:
        """Return the scheme, with the thresholds that were pinned.

        Raises
        ------
        UsageError
            There is no such scheme, or it cannot be used.
        """
        from stagecast.features.stages.scheme_files import load_scheme

        return load_scheme(self.name).with_pins(self.pins)


def scheme_choice(function: F) -> F:
    """Add which scheme is used; the command gets a :class:`SchemeChoice` as ``scheme``."""

    def command(context: click.Context, *, stages: str, pins: Sequence[str], **values: Any) -> Any:
        return function(scheme=_scheme_choice(context, stages, pins), **values)

    return with_options(in_place_of(function, command), _scheme_options())


def _scheme_choice(context: click.Context, stages: str, pins: Sequence[str]) -> SchemeChoice:
    return SchemeChoice(stages, _pinned(pins), _on_the_line(context, "stages"))


def _scheme_options() -> list[Callable[[F], F]]:
    return [
        click.option(
            "--stages",
            default="retail",
            show_default=True,
            help="Stage scheme, or a TOML file.",
        ),
        click.option(
            "--pin",
            "pins",
            multiple=True,
            metavar="NAME=VALUE",
            help=(
                "Threshold that stands fixed, whatever the log says, like "
                "at_risk_ratio=2; may be repeated."
            ),
        ),
    ]


def _pinned(texts: Sequence[str]) -> Mapping[str, float]:
    """Return the thresholds that were pinned.

    Raises
    ------
    UsageError
        Not written as NAME=VALUE, no threshold, or no number above 0.
    """
    if not texts:
        return {}
    from stagecast.features.stages.scheme_files import check_pins

    pins: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            pins[name.strip()] = float(value) if equals else 0.0
        except ValueError:
            raise UsageError(
                f"--pin '{text}': '{value}' is no number; write it like at_risk_ratio=2"
            ) from None
        if not equals:
            raise UsageError(f"--pin '{text}' has no value; write it like at_risk_ratio=2")
    return check_pins(pins, "--pin")


def _on_the_line(context: click.Context, parameter: str) -> bool:
    """Tell whether an option stands on the command line, and not in a configuration alone."""
    return context.get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def learning_untracked(function: F) -> F:
    """Add what :func:`learning` adds, where MLflow gets what was done only if it is asked to."""
    return learning(function, tracked=False)


def learning(function: F, *, tracked: bool = True) -> F:
    """Add what a training is asked for, and which scheme is used; the command gets a
    :class:`~stagecast.serving.requests.TrainingRequest` as ``training``.

    Parameters
    ----------
    tracked
        Whether MLflow gets what was done unless it is asked not to.
    """

    def command(
        context: click.Context,
        *,
        stages: str,
        pins: Sequence[str],
        horizon: int,
        churn: Any,
        contract_start: Sequence[str],
        contract_renewal: Sequence[str],
        contract_end: Sequence[str],
        value_horizon: int,
        discount: float,
        margin: float,
        seed: int,
        track: bool,
        tracking_uri: str | None,
        **values: Any,
    ) -> Any:
        from stagecast.features.stages.scheme_files import load_scheme
        from stagecast.training.config import TrainConfig

        scheme = _scheme_choice(context, stages, pins)
        load_scheme(scheme.name)  # one that is none is refused before anything is read
        named = {
            "contract_start": contract_start,
            "contract_renewal": contract_renewal,
            "contract_end": contract_end,
        }
        terms = _terms(context, churn, named)
        config = TrainConfig(
            pins=scheme.pins,
            own=configuration(context).own_features(),
            calendar=configuration(context).known_occasions(),
            rfm=configuration(context).rfm_settings(),
            horizon_days=horizon,
            value_horizon_days=value_horizon,
            churn=churn,
            terms=terms,
            annual_discount=discount,
            margin=margin,
            scheme=scheme.name,
            seed=seed,
        )
        training = TrainingRequest(config, track=track, tracking_uri=tracking_uri)
        return function(training=training, **values)

    return with_options(
        in_place_of(function, command), [*_scheme_options(), *_learning_options(tracked)]
    )


def churn_and_terms(function: F) -> F:
    """Add what churn is and which events tell of contracts; the command gets ``churn`` and a
    :class:`~stagecast.features.contracts.Terms` as ``terms``.
    """

    def command(
        context: click.Context,
        *,
        churn: Any,
        contract_start: Sequence[str],
        contract_renewal: Sequence[str],
        contract_end: Sequence[str],
        **values: Any,
    ) -> Any:
        named = {
            "contract_start": contract_start,
            "contract_renewal": contract_renewal,
            "contract_end": contract_end,
        }
        return function(churn=churn, terms=_terms(context, churn, named), **values)

    return with_options(in_place_of(function, command), _churn_options())


def _churn_options() -> list[Callable[[F], F]]:
    from stagecast.features.contracts import Terms  # NumPy comes with it
    from stagecast.training.config import CHURN, TrainConfig

    return [
        click.option(
            "--churn",
            type=click.Choice(CHURN),
            default=TrainConfig.churn,
            show_default=True,
            help=(
                "What churn is: no purchase within the horizon, or the cancellation "
                "of an open contract."
            ),
        ),
        *(
            click.option(
                f"--contract-{name}",
                multiple=True,
                metavar="TYPE",
                help=(
                    f"Type of event that {what} a contract; may be repeated. "
                    f"Default: {', '.join(types)}."
                ),
            )
            for name, what, types in zip(
                ("start", "renewal", "end"),
                ("begins", "shows", "cancels"),
                Terms().types,
                strict=True,
            )
        ),
    ]


def _learning_options(tracked: bool) -> list[Callable[[F], F]]:
    from stagecast.training.config import TrainConfig

    return [
        click.option(
            "--horizon",
            default="90d",
            show_default=True,
            callback=span_days,
            help="Span that the probabilities speak of.",
        ),
        *_churn_options(),
        click.option(
            "--value-horizon",
            default="365d",
            show_default=True,
            callback=span_days,
            help="Span that clv speaks of.",
        ),
        click.option(
            "--discount", type=float, default=0.10, show_default=True, help="Yearly discount."
        ),
        click.option(
            "--margin",
            type=float,
            default=1.0,
            show_default=True,
            help="Share of the spend earned.",
        ),
        click.option("--seed", type=int, default=TrainConfig.seed, show_default=True),
        click.option(
            "--track/--no-track",
            default=tracked,
            show_default=True,
            help=f"Log the {'training' if tracked else 'backtest'} to MLflow.",
        ),
        click.option(
            "--tracking-uri", metavar="URI", help="MLflow store; default sqlite:///mlflow.db."
        ),
    ]


def _terms(context: click.Context, churn: str, named: Mapping[str, Sequence[str]]) -> Terms:
    """Return which events tell of a contract; what is not named is as it is by default.

    Parameters
    ----------
    named
        Option -> types of events, for what begins, what shows and what cancels a contract.

    Raises
    ------
    UsageError
        One was named on the command line where churn is no cancellation.
    """
    from stagecast.features.contracts import Terms

    for option in named:
        if churn != "cancellation" and _on_the_line(context, option):
            raise UsageError(
                f"--{option.replace('_', '-')} tells of contracts: it needs --churn cancellation"
            )
    parts = zip(("starts", "renewals", "ends"), named.values(), strict=True)
    chosen: dict[str, Any] = {part: tuple(types) for part, types in parts if types}
    return Terms(**chosen)
