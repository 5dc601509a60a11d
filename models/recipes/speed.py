"""Documents a second of ONNX files side by side, on one thread, in a worker's batches.

`python -m recipes.speed models/sentiment/1/tokenizer.json a.onnx b.onnx`
"""

import argparse
import time
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from .common.sessions import open_session, run_batches, sorted_batches
from .sentiment.data import load_splits

MAX_TOKENS = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("graphs", nargs="+", type=Path)
    parser.add_argument("--work", type=Path, default=Path("/tmp/headrace-recipes"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    tokenizer.enable_truncation(MAX_TOKENS)
    texts = [row.text for row in load_splits(options.work / "downloads")["test"]]
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    seconds = measure(options.graphs, encoded, options.rounds)
    for graph, spent in zip(options.graphs, seconds):
        ratio = seconds[0] / spent
        print(f"{graph}: {len(encoded) / spent:.0f} documents/s, {ratio:.2f} x the first")


def measure(graphs: list[Path], encoded: list[list[int]], rounds: int) -> list[float]:
    """Median CPU seconds for all texts by graph; the graphs take turns, after one unmeasured run.

    CPU time, because on one thread it is wall time less what other programs took.
    """
    sessions = [open_session(graph) for graph in graphs]
    batches = sorted_batches(encoded)
    spent = np.zeros((rounds + 1, len(sessions)))
    for number in range(rounds + 1):
        for index, session in enumerate(sessions):
            began = time.process_time()
            run_batches(session, encoded, batches)
            spent[number, index] = time.process_time() - began
    return np.median(spent[1:], axis=0).tolist()


if __name__ == "__main__":
    main()
