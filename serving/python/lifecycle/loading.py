"""``load``: a model from a folder or from MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stagecast.features.arguments.values import refuse
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
        There is no such model.
    DataRefusedError
        A file of it is missing or was changed.
    """
    from stagecast.serving.runs.models import model_folder
    from stagecast.serving.settings import load_settings
    from stagecast.training.bundle import load_bundle

    if not isinstance(model, str | Path):
        refuse(model, "model", "the path of a folder, like 'shop-model', or 'models:/NAME@ALIAS'")
    folder = model_folder(str(model), load_settings(tracking_uri=tracking_uri))
    return Lifecycle.of_bundle(load_bundle(folder, allow_own_members))
