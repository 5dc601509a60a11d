"""Accuracy, macro-F1, confusion and calibration; labels and guesses are integer arrays [rows]."""

import numpy as np

LABEL_COUNT = 3


def softmax(logits: np.ndarray) -> np.ndarray:
    """[rows, labels] -> probabilities."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def accuracy(labels: np.ndarray, guesses: np.ndarray) -> float:
    return float((labels == guesses).mean())


def confusion(labels: np.ndarray, guesses: np.ndarray) -> np.ndarray:
    """[true, guessed] counts."""
    counts = np.zeros((LABEL_COUNT, LABEL_COUNT), int)
    np.add.at(counts, (labels, guesses), 1)
    return counts


def macro_f1(labels: np.ndarray, guesses: np.ndarray) -> float:
    """Mean of the labels' F1; a label that neither occurs nor is guessed counts 0."""
    counts = confusion(labels, guesses)
    return float(np.mean(2 * counts.diagonal() / np.maximum(1, counts.sum(0) + counts.sum(1))))


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017) of the guessed label's probability."""
    confidence, guesses = probabilities.max(1), probabilities.argmax(1)
    error = 0.0
    for low in np.arange(bins) / bins:
        inside = (confidence > low) & (confidence <= low + 1 / bins)
        if inside.any():
            gap = (guesses[inside] == labels[inside]).mean() - confidence[inside].mean()
            error += inside.mean() * abs(gap)
    return float(error)
