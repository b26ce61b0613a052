"""Statistics of a campaign with a random hold-out: arrays in, frozen dataclasses out.

    expected -> draw, power (before freezing: who is left alone, what that can show)
    adjustment -> contrast, redraws -> measurement -> effect, sequence (looks while it is open)
        -> capped; shrinkage -> segments, pooled -> verdict
    outcomes -> readout (one campaign) -> plans (several)

No store, no files, no HTTP. An estimate and its interval are made in
:mod:`stagecast.serving.targeting.trial.measurement` alone; the effect, the looks and the segments
follow.
"""
