"""Predict clips in several processes."""

from __future__ import annotations

import numpy as np

from cfnsr.data.dataset import Clips
from cfnsr.evaluation.predict import LogProbabilities, Predictor, evaluation_mode
from cfnsr.training import distributed


class SharedPredictor(Predictor):
    """A predictor that shares clips out among the processes; each returns the predictions of all."""

    def predict(self, clips: Clips) -> LogProbabilities:
        """Return each clip's log-probabilities, in fp32."""
        count = distributed.world_size()
        if count == 1:
            return super().predict(clips)
        own = list(range(distributed.rank(), len(clips), count))
        starts = range(0, len(own), self.batch_size)
        with evaluation_mode(self.network):
            batches = (self.normalise(clips.__getitems__(own[at : at + self.batch_size])) for at in starts)
            predicted = [self.network(batch).fused.float().cpu().numpy() for batch in batches]
        result = np.empty((len(clips), len(clips.labels)), np.float32)
        for rank, parts in enumerate(distributed.all_gather(predicted)):
            if parts:
                result[rank::count] = np.concatenate(parts)
        return result
