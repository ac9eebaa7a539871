"""Audio encoders, one file each; the file's name is a value of `encoders.audio.name` in params.yaml."""
