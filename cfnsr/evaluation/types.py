"""What networks and classifiers predict, as arrays. Importing this module does not load torch."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

LogProbabilities = Float[np.ndarray, "clip classes"]
Attention = Float[np.ndarray, "clip moment row column"]
