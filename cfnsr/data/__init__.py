"""Data for training: shards, splits, the manifest, datasets, and the files of jobs."""
