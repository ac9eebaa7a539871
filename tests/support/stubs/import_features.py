"""Features of another corpus's clips."""

from tests.support.stubs.payload import named, run

run(named("means.npy", "clips.parquet", "origin.json"))
