"""A page on this machine with predictions for what is recorded or uploaded there; see docs/decisions/0026-demo.md.

The server does not import torch. A second process, ``worker``, reads the recordings and predicts.
"""
