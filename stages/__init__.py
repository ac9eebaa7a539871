"""One script a DVC stage."""

import os

from cfnsr.runtime import lifeline

# Set before torch loads: its threads then wait asleep, and leave the processor to other processes
# (measured by benchmarks/wait_policy.py).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Here, before a stage's script imports anything: torch alone takes seconds, in which DVC may be killed.
if "TORCHELASTIC_RUN_ID" in os.environ:  # a process of several that train together: it ends with the stage
    lifeline.die_with_parent()
else:
    lifeline.hold()
