"""Video encoders, one file each; the file's name is what `encoders.video.name` in params.yaml may say."""
