"""Data for training: shards, splits, the manifest, datasets and jobs."""
