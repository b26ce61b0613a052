"""Published runs closed against what came, once their horizon has passed.

settlement (what was said and what came, by group) <- ledger (rows that cannot be edited unseen)
<- settle (which runs are due; the log tells what came)
"""
