"""What training reads: shards, splits, the manifest and datasets."""
