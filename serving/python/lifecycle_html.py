"""A :class:`~stagecast.serving.python.lifecycle.Lifecycle` in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from stagecast.features.clock import iso
from stagecast.training.churn_kinds import kind_of

if TYPE_CHECKING:
    from stagecast.serving.python.lifecycle import Lifecycle


def lifecycle_html(model: Lifecycle) -> str:
    """Return the parameters, and of a fitted model what it stands on and how good it was."""
    head = f"<p><code>{escape(repr(model))}</code></p>"
    if not model.__sklearn_is_fitted__():
        return head + "<p>not fitted</p>"
    from stagecast.training.fitted.btyd import btyd_models

    bundle = model.bundle_
    models = bundle.models
    weights = kind_of(models.config.churn).pool_card(models).weights
    rows = {
        "version": bundle.model_version,
        "as of": iso(bundle.clock.shop(bundle.as_of)),
        "last event": iso(bundle.data_cutoff),
        "members": ", ".join(f"{name} {weight:.0%}" for name, weight in weights.items()),
        "customer base": ", ".join(btyd_models(models.base)) or "none",
        "evaluation": repr(model.evaluate()),
    }
    cells = "".join(
        f"<tr><th style='text-align:left'>{name}</th>"
        f"<td style='text-align:left'>{escape(text)}</td></tr>"
        for name, text in rows.items()
    )
    return f"{head}<table><tbody>{cells}</tbody></table>"
