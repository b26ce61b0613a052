"""``run``, ``monitor`` and ``load_scorer``: as the commands, with arguments of Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from stagecast.features.arguments.spans import days_or_span
from stagecast.features.arguments.values import flag, refuse, whole_number
from stagecast.features.arguments.values import path as path_of
from stagecast.features.frames.instants import Instant, Span
from stagecast.serving.languages.display import Language
from stagecast.serving.progress import Say, silent
from stagecast.serving.python.lifecycle.logs import as_of_in, checked_log
from stagecast.serving.python.words import python_words, speaks_python, translated
from stagecast.training.config import TrainConfig

if TYPE_CHECKING:
    import sqlalchemy as sa

    from stagecast.features.events import EventLog
    from stagecast.serving.monitor.result import Monitoring
    from stagecast.serving.monitor.watch import Fitted
    from stagecast.serving.python.scorer import Scorer
    from stagecast.serving.runs.run import Run
    from stagecast.training.bundle import Bundle

_FOLDER = "the path of a folder, like 'shop'"


def run(
    log: EventLog,
    out: str | Path,
    config: TrainConfig,
    *,
    as_of: Instant | None = None,
    force: bool = False,
    next_steps: Sequence[str] = (),
    say: Say = silent,
    track: Callable[[Bundle, Path, Path], object] | None = None,
    language: Language = "en",
) -> Run:
    """Check, train, score and report into a folder, as ``stagecast run``.

    Parameters
    ----------
    log
        What :func:`stagecast.read_events` returns; what it refused is written along.
    out
        Folder that appears when all is done.
    config
        Settings of the training.
    as_of
        Where the training stands; None: the day after the last event.
    force
        Replace the run that the folder holds.
    next_steps
        Sentences of the report on what to do next.
    say
        Called with the name of each step as it begins.
    track
        Called with the bundle, its folder and the report once they are in their place.
    language
        Of the report: ``en``, ``ru`` or ``fa``.

    Raises
    ------
    UsageError
        The folder, the as_of or the horizon cannot be used; nothing is left behind then.
    NotEnoughDataError
        Nobody has bought.
    """
    from stagecast.serving.pipeline import run as run_into

    with python_words(out="out"):
        if not isinstance(config, TrainConfig):
            refuse(config, "config", "settings, like sc.TrainConfig(horizon_days=90)")
        if language not in get_args(Language):
            refuse(language, "language", f"one of {', '.join(get_args(Language))}")
        folder = path_of(out, "out", _FOLDER)
        return run_into(
            checked_log(log, "sc.run"),
            folder,
            config,
            as_of=None if as_of is None else as_of_in(log, as_of),
            force=flag(force, "force"),
            next_steps=next_steps,
            say=say,
            track=track,
            language=language,
        )


def monitor(
    model: Bundle | Scorer | Fitted | str | Path,
    log: EventLog,
    as_of: Instant | None = None,
    *,
    store: sa.Engine | str | Path | None = None,
    max_age_days: int | Span | None = None,
    say: Say = silent,
) -> Monitoring:
    """Watch a model on a log: what its scores said against what came, what moved, what to do.

    Parameters
    ----------
    model
        A fitted ``Lifecycle``, a bundle, its folder, or a scorer.
    log
        The log, from before the training up to the as_of or later.
    as_of
        Where we stand; nothing at or after it is looked at. None: the day after the last event.
    store
        Store of published runs, its file or its URL; those whose horizon is over are settled in it.
        None: published runs are not looked at.
    max_age_days
        Age at which the model is to be retrained, in days or as a span; None: two horizons.
    say
        Called with the name of each step as it begins.

    Raises
    ------
    UsageError
        The as_of is before that of the training, or the log is in another currency or zone.
    NotEnoughDataError
        No event stands before the as_of.

    Examples
    --------
    >>> import stagecast as sc
    >>> result = sc.monitor("demo-model", log)  # doctest: +SKIP
    >>> result.advice.action  # doctest: +SKIP
    'keep'
    """
    from stagecast.serving.monitor.watch import monitor as watch

    with python_words(model="model"):
        checked = checked_log(log, "sc.monitor")
        if store is not None and not isinstance(store, str | Path) and not _connects(store):
            refuse(store, "store", "the file or the URL of a store, like 'stagecast.db'")
        most: int | None = None
        if max_age_days is not None:
            days = days_or_span(max_age_days, "max_age_days")
            most = whole_number(days, "max_age_days", "days, 1 or more, like 180", least=1)
        result = watch(
            model,
            checked,
            None if as_of is None else as_of_in(checked, as_of),
            store=str(store) if isinstance(store, Path) else store,
            max_age_days=most,
            say=say,
        )
        monitoring: Monitoring = translated(result)
        return monitoring


@speaks_python
def load_scorer(path: str | Path, threads: int = 1, *, with_reasons: bool = True) -> Scorer:
    """Return a scorer for the bundle in a folder.

    Parameters
    ----------
    path
        Folder of the bundle.
    threads, with_reasons
        See :class:`stagecast.Scorer`.

    Raises
    ------
    UsageError
        There is no bundle in the folder.
    DataRefusedError
        It is damaged.
    """
    from stagecast.serving.python.scorer import Scorer
    from stagecast.training.bundle import load_bundle

    return Scorer(
        load_bundle(path_of(path, "path", _FOLDER)),
        whole_number(threads, "threads", "a number of threads, or 0 for all cores"),
        with_reasons=flag(with_reasons, "with_reasons"),
    )


def _connects(store: Any) -> bool:
    return hasattr(store, "connect") and hasattr(store, "begin")
