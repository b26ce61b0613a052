"""The same fit on every machine: results that do not depend on how many cores there are."""

from __future__ import annotations

from contextlib import AbstractContextManager

import scipy.linalg  # noqa: F401 - loads the BLAS that SciPy brings, so that it is limited, too
from threadpoolctl import threadpool_limits


def single_threaded_blas() -> AbstractContextManager[object]:
    """Keep matrix products to one thread while a model is fitted.

    BLAS adds up in parts, one for each thread, so that the last bits of a regression, and with
    them the model version, would depend on the number of cores. LightGBM has threads of its own,
    whose number changes no result.
    """
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits
