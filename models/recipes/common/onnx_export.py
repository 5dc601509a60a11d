"""PyTorch module -> ONNX graph with inputs `input_ids`, `attention_mask` [rows, tokens]."""

import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

OPSET = 17
INPUTS = ["input_ids", "attention_mask"]


def export(module: nn.Module, output: str, path: Path) -> onnx.ModelProto:
    """Writes and returns the fp32 graph; rows and tokens stay free."""
    ids = torch.ones(2, 7, dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    axes = {name: {0: "rows", 1: "tokens"} for name in INPUTS} | {output: {0: "rows"}}
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but its graph is the one that ORT fuses best.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (ids, mask),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=INPUTS,
            output_names=[output],
            dynamic_axes=axes,
        )
    graph = onnx.load(path)
    onnx.checker.check_model(graph)
    return graph
