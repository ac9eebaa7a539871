"""Predict with networks, and write the outputs of jobs."""
