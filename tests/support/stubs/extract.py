"""A shard: the table of clips and an array each."""

from tests.support.stubs.payload import named, run

run(named("clips.parquet", "frames.npy", "mel.npy", "mfcc.npy"))
