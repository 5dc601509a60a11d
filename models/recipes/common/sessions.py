"""ONNX Runtime sessions as the worker opens them, and the batches that it would form."""

from pathlib import Path

import numpy as np
import onnxruntime

TOKEN_BUDGET = 512


def open_session(graph: Path | bytes) -> onnxruntime.InferenceSession:
    """One thread, CPU only, every graph optimisation; from a file or from a serialised graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = graph if isinstance(graph, bytes) else str(graph)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def pad(encoded: list[list[int]]) -> dict[str, np.ndarray]:
    """The graph's inputs for rows of ids, padded to the longest."""
    shape = len(encoded), max(map(len, encoded))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, tokens in enumerate(encoded):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def sorted_batches(encoded: list[list[int]]) -> list[list[int]]:
    """Indices of neighbours in length, at most TOKEN_BUDGET padded cells a batch."""
    batches, current = [], []
    for index in sorted(range(len(encoded)), key=lambda index: len(encoded[index])):
        if current and (len(current) + 1) * len(encoded[index]) > TOKEN_BUDGET:
            batches.append(current)
            current = []
        current.append(index)
    return [*batches, current]


def run_batches(session, encoded: list[list[int]], batches: list[list[int]]) -> np.ndarray:
    """The graph's output in input order, [rows, width]."""
    outputs = [session.run(None, pad([encoded[i] for i in batch]))[0] for batch in batches]
    result = np.empty((len(encoded), outputs[0].shape[1]), np.float32)
    for batch, output in zip(batches, outputs):
        result[batch] = output
    return result


def run_alone(session, encoded: list[list[int]]) -> np.ndarray:
    """Every row in a run of its own."""
    return run_batches(session, encoded, [[index] for index in range(len(encoded))])
