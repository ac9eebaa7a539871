"""One script for each DVC stage."""

import gc
import os

from cfnsr.runtime import lifeline, own_code

# Set before torch loads: its threads then wait asleep, and leave the processor to other processes
# (measured by benchmarks/wait_policy.py).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Before a stage's script imports anything: importing torch takes seconds, in which DVC may be killed.
if "TORCHELASTIC_RUN_ID" in os.environ:  # one of several processes that torchrun started: it ends with torchrun
    lifeline.die_with_parent()
else:
    lifeline.hold()

# Also before: a stage writes nothing if the code that it has loaded is no longer the code that DVC would record.
own_code.remember()

# What a script imports stays: searching it for garbage takes a tenth of the imports' time. The decorator `stage`, which
# comes after the imports, turns the search on again.
gc.disable()
