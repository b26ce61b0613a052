"""P(first purchase in the horizon) of those who have not bought: a survival model of leads.

    exposure by age of the lead -> hazard of the first purchase, with effects and activity
        -> conversion (p_convert, and what those who convert bring)

Every lead counts for as long as it was seen, so leads that are still young teach, too. Points and
grades of leads are :mod:`stagecast.training.lead_points`.
"""
