"""The files of a job without a model."""

from tests.support.stubs.payload import named, run

run(named("record.json", "predictions.parquet"))
