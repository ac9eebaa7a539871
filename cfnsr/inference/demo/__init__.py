"""A page on this machine that predicts what is recorded or uploaded there; see docs/decisions/0026-demo.md.

The server imports no torch. One process beside it, ``worker``, reads the recordings and predicts.
"""
