"""A log of less than two whole years with a peak that is over: what it teaches of ordinary days.

One year cannot tell a season from a promotion, and models that learn from the peak carry it on, or
take the quiet after it for leaving. So the outcomes of past dates are brought to ordinary days
(:mod:`stagecast.training.peaks.ordinary`), and the levels ahead are those of a Pareto/NBD in whose
time the peak is a time of many days (:mod:`stagecast.training.peaks.peak`).
"""
