"""A plan: who is contacted, with what money, against whom it is measured.

terms (what is asked for) | candidates (columns of the scores) <- economics (gain and cost of each)
<- selection (the best under a budget), curve (gain against contacts), suppression (who may not be
contacted) <- proposal (all of it) <- book (drafts, freezing, the list, in the store) <- outcome
(what the customers did) | files (lists to send)
"""
