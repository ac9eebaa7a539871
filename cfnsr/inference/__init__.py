"""Use of trained networks outside the pipeline."""
