"""A network and a split -> predictions."""
