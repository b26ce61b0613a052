"""What jobs leave behind: the folder of a run, what is in it, and how it appears whole or not at
all; tables in files, trainings in MLflow, scores in the store.
"""
