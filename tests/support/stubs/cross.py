"""What was trained on other corpora."""

from tests.support.stubs.payload import named, run

run(named("record.json", "predictions.parquet"))
