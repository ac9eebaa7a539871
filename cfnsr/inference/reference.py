"""How far an input is from the clips that a model was trained on; written with the model, in training."""

from cfnsr.evaluation.reference import FAR, FILE, Reference

__all__ = ["FAR", "FILE", "Reference"]
