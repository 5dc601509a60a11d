"""The classifier as an ONNX graph with the logits as output, and its calibration."""

import copy
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from ..common.bert import encode, mean_pool
from ..common.metrics import calibration_error, softmax
from ..common.onnx_export import export
from .data import LABELS
from .network import Classifier

OUTPUT = "logits"
# The base model's own limit. Training saw rows of up to 96 tokens; the table of positions has 512.
MAX_TOKENS = 256
TEMPERATURES = np.geomspace(0.3, 3, 200)
# A gain in calibration error below this is noise on 2,604 rows.
WORTHWHILE_GAIN = 0.005


class LogitsGraph(nn.Module):
    """[rows, tokens] ids and mask -> logits [rows, labels], already divided by the temperature."""

    def __init__(self, model: Classifier, temperature: float):
        super().__init__()
        self.bert = model.bert
        self.head = copy.deepcopy(model.classifier)
        self.head.weight.data /= temperature
        self.head.bias.data /= temperature

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.head(mean_pool(encode(self.bert, input_ids, attention_mask), attention_mask))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the least negative log-likelihood (Guo et al. 2017), or 1 if that would
    not make the probabilities noticeably more honest."""
    def loss(temperature: float) -> float:
        return -np.log(softmax(logits / temperature)[np.arange(len(labels)), labels]).mean()

    best = float(min(TEMPERATURES, key=loss))
    before, after = (calibration_error(labels, softmax(logits / t)) for t in (1.0, best))
    print(f"temperature {best:.3f}: calibration error on dev {before:.4f} -> {after:.4f}")
    return best if before - after >= WORTHWHILE_GAIN else 1.0


def export_fp32(model: Classifier, temperature: float, path: Path):
    """Writes the fp32 graph and returns it."""
    return export(LogitsGraph(model, temperature), OUTPUT, path)


def config_of(model: Classifier, temperature: float) -> dict:
    """`config.json`. The head sits on the mean of the tokens: no transformers class loads it."""
    wanted = (
        "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size "
        "hidden_act max_position_embeddings type_vocab_size layer_norm_eps pad_token_id"
    ).split()
    return {
        "model_type": "bert",
        "problem_type": "single_label_classification",
        **{name: getattr(model.bert.config, name) for name in wanted},
        "id2label": {str(index): label for index, label in enumerate(LABELS)},
        "label2id": {label: index for index, label in enumerate(LABELS)},
        "pooling": "mean",
        "temperature": round(temperature, 4),
    }
