"""Audio encoders, one file each; the file's name is what `encoders.audio.name` in params.yaml may say."""
