"""What closed plans teach the next one.

closed (customers, arms and outcomes of closed plans, from the store) <- effects (how much a contact
keeps and wins back, over all plans) <- terms (a plan with these effects)
closed, features (the log as it was before a plan) <- ranking (which ranking of the customers of one
plan would have been the best)
"""
