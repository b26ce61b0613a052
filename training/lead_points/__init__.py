"""Leads by points: points of each action, the grades MQL and SQL, and the ranked list.

points (TOML file, or learned) -> scoring -> grades -> ranking, with P(first purchase)
"""
