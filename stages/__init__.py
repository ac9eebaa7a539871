"""One script for each DVC stage."""

from cfnsr.runtime import lifeline

# Before a stage's script imports anything: importing torch takes seconds, in which DVC may be killed.
lifeline.hold()
