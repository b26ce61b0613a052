"""``load``: a model from a folder or from MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stagecast.features.arguments.values import refuse, texts
from stagecast.serving.python.lifecycle.model import Lifecycle
from stagecast.serving.python.words import speaks_python


@speaks_python
def load(
    model: str | Path,
    *,
    tracking_uri: str | None = None,
    allow_own_members: bool | Sequence[str] = False,
) -> Lifecycle:
    """Load a model that was saved, trained by the command line, or registered in MLflow.

    Parameters
    ----------
    model
        Folder of a bundle, or ``models:/NAME@ALIAS``.
    tracking_uri
        MLflow server or file of a ``models:/``; None: as the settings say.
    allow_own_members
        Whether members that the model's author wrote may be loaded. They are code: allow them only
        where you trust the author. True trusts classes of scikit-learn, SciPy and NumPy; a list
        names further classes.

    Raises
    ------
    UsageError
        There is no such model, or an argument cannot be used.
    DataRefusedError
        A file of it is missing or was changed.
    """
    from stagecast.serving.runs.models import model_folder
    from stagecast.serving.settings import load_settings
    from stagecast.training.bundle import load_bundle

    if not isinstance(model, str | Path):
        refuse(model, "model", "the path of a folder, like 'shop-model', or 'models:/NAME@ALIAS'")
    allowed = _allowed(allow_own_members)
    folder = model_folder(str(model), load_settings(tracking_uri=tracking_uri))
    return Lifecycle.of_bundle(load_bundle(folder, allowed))


def _allowed(value: Any) -> bool | tuple[str, ...]:
    """Return what is trusted; a text is refused, for its letters would be names of classes."""
    give = "True, False, or a list of the names of classes to trust, like ['shop.members.Scaler']"
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    if value is None or isinstance(value, str):
        refuse(value, "allow_own_members", give)
    # no names allow nothing
    return texts(value, "allow_own_members", give) or False
