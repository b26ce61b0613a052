"""A plan: who is contacted, with what money, against whom it is measured.

terms (what is asked for) | candidates (columns of the scores) <- economics (gain and cost of each)
<- selection (the best under a budget), curve (gain against contacts), suppression (who may not be
contacted) <- proposal (all of it) <- stored (a plan as a row), book (drafts, freezing, the list)
<- observed (what the customers did), results (confirmations, read-outs) | files (lists to send)
"""
