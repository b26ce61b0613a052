"""Outputs of jobs: folders and files, written whole or not at all; MLflow runs; scores stored."""
