"""A model specification and a split -> weights."""
