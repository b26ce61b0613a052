"""Lifecycle stages: schemes, the facts that their rules read, and customers' journeys.

    scheme_files (TOML) -> scheme (rules; scheme_check) + thresholds (from the gaps in the log)
    facts, conditions (what a rule may say) -> journeys (when each stage began) -> lifecycle

What may be changed where: a new kind of fact goes into :mod:`stagecast.features.stages.facts`
(its value at an instant) and :mod:`stagecast.features.stages.journeys` (when it can change);
a scheme of the package is a TOML file in ``features/schemes``.
"""
