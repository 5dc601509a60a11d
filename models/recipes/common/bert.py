"""A BERT body written for export: plain arithmetic, a mask that is added, no token types.

The weights are those of `transformers.BertModel`; only the forward pass is ours, so that the graph
holds what ONNX Runtime runs fastest and nothing else. Its own fused operators were tried and are
slower on a CPU (see the recipes' README).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

MASKED = -10_000.0


def embed(bert: BertModel, input_ids: Tensor) -> Tensor:
    """[rows, tokens] -> [rows, tokens, hidden]; every token is of type 0."""
    table = bert.embeddings
    fixed = table.position_embeddings.weight + table.token_type_embeddings.weight[0]
    return table.LayerNorm(table.word_embeddings(input_ids) + fixed[: input_ids.shape[1]])


def attend(layer: nn.Module, hidden: Tensor, mask: Tensor, config: BertConfig) -> Tensor:
    """Self-attention of one layer, before its output projection."""
    rows, tokens, _ = hidden.shape
    # Sizes come from the configuration: taken from tensors they would become nodes of the graph.
    heads, width = config.num_attention_heads, config.hidden_size
    query, key, value = (
        project(hidden).reshape(rows, tokens, heads, width // heads).transpose(1, 2)
        for project in (layer.query, layer.key, layer.value)
    )
    scores = query @ key.transpose(-1, -2) * (width // heads) ** -0.5
    mixed = torch.softmax(scores + mask, -1) @ value
    return mixed.transpose(1, 2).reshape(rows, tokens, width)


def encode(bert: BertModel, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """[rows, tokens] ids and mask -> [rows, tokens, hidden]."""
    hidden = embed(bert, input_ids)
    mask = (1.0 - attention_mask[:, None, None, :].to(hidden.dtype)) * MASKED
    for layer in bert.encoder.layer:
        mixed = attend(layer.attention.self, hidden, mask, bert.config)
        output = layer.attention.output
        hidden = output.LayerNorm(output.dense(mixed) + hidden)
        wide = functional.gelu(layer.intermediate.dense(hidden))
        hidden = layer.output.LayerNorm(layer.output.dense(wide) + hidden)
    return hidden


def mean_pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean over the tokens that are not padding: [rows, tokens, hidden] -> [rows, hidden]."""
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1)
