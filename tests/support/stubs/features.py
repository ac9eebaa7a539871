"""Features of one speaker's clips."""

from tests.support.stubs.payload import named, run

run(named("means.npy", "clips.parquet", "extractor.json"))
