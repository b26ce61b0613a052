"""Statistics of a campaign with a random hold-out: arrays in, frozen dataclasses out.

    expected -> draw, power (before freezing: who is left alone, what that can show)
    contrast -> effect, sequence (looks while the window is open)
        -> shrinkage -> segments, pooled -> verdict
    outcomes -> readout (one campaign) -> plans (several)

No store, no files, no HTTP. A new estimator is a set of weights in
:mod:`stagecast.serving.targeting.trial.contrast`; its interval, its looks and its segments follow.
"""
