"""Whether what a model was trained on still holds: measures over arrays, without a log or a store.

distances (how far two samples are apart, and by chance), rates (events per day, and since when)
    <- movement (what has moved, and whether season or habit explains it)
    <- faults (a renamed type, another currency, missing customers: named, to be repaired)
calibration (what was said against what came), estimated (quality before the outcomes are known)
    <- advice (whether to retrain, and why)
"""
