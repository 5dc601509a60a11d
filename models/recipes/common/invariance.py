"""Does a row's result depend on the rows beside it? It must not."""

import random

import numpy as np

from .sessions import run_alone, run_batches, sorted_batches

BATCH_ROWS = 32
LIMIT = 1e-6


def batch_dependence(session, encoded: list[list[int]], to_result=lambda output: output) -> float:
    """Largest difference of any number between a row alone and the same row in company.

    Company is a padded batch of 32 random rows, then neighbours in length. `to_result` turns raw
    outputs into what users see, e.g. logits into probabilities.
    """
    alone = to_result(run_alone(session, encoded))
    order = list(range(len(encoded)))
    random.Random(0).shuffle(order)
    mixed = [order[at : at + BATCH_ROWS] for at in range(0, len(order), BATCH_ROWS)]
    return max(
        float(np.abs(to_result(run_batches(session, encoded, batches)) - alone).max())
        for batches in (mixed, sorted_batches(encoded))
    )
