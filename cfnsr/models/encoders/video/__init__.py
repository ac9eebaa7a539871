"""Video encoders, one file each; the file's name is a value of `encoders.video.name` in params.yaml."""
