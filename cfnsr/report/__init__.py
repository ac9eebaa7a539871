"""Predictions -> figures, tables and one page."""
