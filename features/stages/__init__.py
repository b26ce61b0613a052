"""Lifecycle stages: schemes, the facts their rules look at, and each customer's way through them.

    scheme_files (TOML) -> scheme (rules; scheme_check) + thresholds (from the shop's gaps)
    facts, conditions (what a rule may say) -> journeys (when each stage began) -> lifecycle

What may be changed where: a new kind of fact goes into :mod:`stagecast.features.stages.facts`
(how it stands at an instant) and :mod:`stagecast.features.stages.journeys` (when it can change);
a scheme of the package is a TOML file in ``features/schemes``.
"""
