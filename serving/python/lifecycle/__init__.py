"""``Lifecycle`` and ``load``: churn, next stage and value of the customers of a log, as one model.

=============  ========================================================================
``estimator``  the parameters: ``get_params``, ``set_params``, how they print themselves
``model``      ``Lifecycle``: fit, evaluate, score, explain, save, register
``loading``    ``load``: a model from a folder or from MLflow
``logs``       the log that a model is handed, and where it is cut
``html``       a model in a notebook
=============  ========================================================================
"""

from stagecast.serving.python.lifecycle.loading import load
from stagecast.serving.python.lifecycle.model import Lifecycle

__all__ = ["Lifecycle", "load"]
