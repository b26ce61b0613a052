"""What comes along, as tables: ``schemes`` of stages, and the ``catalog`` of features."""

from __future__ import annotations

import pandas as pd

from stagecast.features.catalog.own import OwnFeatures
from stagecast.features.frames.instants import Span, as_days
from stagecast.features.stages.scheme_files import known_schemes, load_scheme
from stagecast.serving.python.words import speaks_python


@speaks_python
def schemes(scheme: str | None = None) -> pd.DataFrame:
    """Return the schemes of the package, or the stages of one.

    Parameters
    ----------
    scheme
        Name of a scheme, or path of a TOML file, which is checked; None: all of the package.

    Returns
    -------
    pandas.DataFrame
        Index ``scheme``, columns ``title`` and ``stages``; of one scheme index ``stage``, in the
        order in which the rules are tried, columns ``state``, ``rule``, ``meaning``, ``action``.

    Raises
    ------
    UsageError
        There is no such scheme, or the file has a fault.

    Examples
    --------
    >>> schemes("clm5").loc["purchase", "rule"]
    'orders == 1'
    """
    if scheme is None:
        loaded = {name: load_scheme(name) for name in known_schemes()}
        rows = [
            (name, scheme.title["en"], ", ".join(scheme.ids)) for name, scheme in loaded.items()
        ]
        return pd.DataFrame(rows, columns=["scheme", "title", "stages"]).set_index("scheme")
    stages = load_scheme(scheme).stages
    lines = [(s.id, s.state, s.rule_text, s.meaning["en"], s.action["en"]) for s in stages]
    columns = ["stage", "state", "rule", "meaning", "action"]
    return pd.DataFrame(lines, columns=columns).set_index("stage")


@speaks_python
def catalog(horizon: Span = "90d") -> pd.DataFrame:
    """Return what each feature of :meth:`stagecast.EventLog.features` is.

    It is what ``stagecast features --list`` prints.

    Parameters
    ----------
    horizon
        Span that features with the word "ahead" in their names look at, one year earlier.

    Returns
    -------
    pandas.DataFrame
        Index ``feature``; ``unit``, ``meaning``, ``definition`` (formula or aggregate) and
        ``predictor`` (whether models learn from it).

    Raises
    ------
    UsageError
        The horizon is no span.

    Examples
    --------
    >>> catalog().loc["recency_days", ["unit", "meaning"]].tolist()[0]
    'days'
    """
    features = OwnFeatures().catalog(as_days(horizon)).features
    rows = [(f.name, f.unit, f.meaning, f.definition, f.predictor) for f in features]
    columns = ["feature", "unit", "meaning", "definition", "predictor"]
    return pd.DataFrame(rows, columns=columns).set_index("feature")
