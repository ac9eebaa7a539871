"""A table of one speaker's landmarks."""

from tests.support.stubs.payload import named, run

run(named("01.parquet"))
