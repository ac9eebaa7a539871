"""Speech-and-face emotion recognition: a DVC pipeline over a small PyTorch library."""

__version__ = "0.1.0"
