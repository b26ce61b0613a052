"""Leads: points with decay, the grades MQL and SQL, and the fitted probability of the first
purchase.

    events, attributes known at the start -> points (TOML file, or learned) -> grades by thresholds
    the same -> exposure by age of the lead -> hazard of the first purchase -> p_convert

``points.toml``
    the default points; a file of the user's own is read in the same way
    (:mod:`stagecast.training.leads.points`)
``scoring``, ``grades``
    points of each lead at an as_of with their reasons; thresholds from numbers, a wanted volume or
    a wanted conversion
``learning``
    points suggested from the log: a scorecard whose signs are those of the table it starts from
``exposure``, ``effects``, ``hazard``, ``activity``, ``conversion``
    the survival model: every lead counts for as long as it was seen, so those that are still young
    do too
"""
