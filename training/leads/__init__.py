"""P(first purchase in the horizon) of customers who have not bought: a survival model of leads.

    exposure by age of the lead -> hazard of the first purchase, with effects and activity
        -> conversion (p_convert, orders and spend of those who convert)

Every lead contributes for as long as it was observed, so that young leads are used, too. For points
and grades of leads see :mod:`stagecast.training.lead_points`.
"""
