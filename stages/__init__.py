"""One script a DVC stage."""

from cfnsr.runtime import lifeline

# Here, before a stage's script imports anything: torch alone takes seconds, in which DVC may be killed.
lifeline.hold()
