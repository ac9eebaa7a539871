"""Turn clips into arrays: landmarks, face boxes, face crops, log-mel and MFCC."""
