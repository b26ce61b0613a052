"""Snapshots in, a bundle out.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page
                                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

Imports point one way: ``features <- training <- serving``; nothing here imports ``serving``. The running
server loads a bundle and evaluates it; it needs no module here that fits anything.

What you may change where: a model's fit and its evaluation stand beside each other, in one module or in one
folder (:mod:`training.btyd`); how the members are combined is :mod:`training.churn`'s business; what is
written to disk is :mod:`training.bundle`'s alone, and only text and JSON are.
"""
