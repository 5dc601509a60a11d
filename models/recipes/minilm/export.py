"""all-MiniLM-L6-v2 with mean pooling and L2 normalisation inside the graph."""

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional
from transformers import BertModel
from transformers.utils import logging

from ..common.bert import encode, mean_pool
from ..common.onnx_export import export

OUTPUT = "sentence_embedding"
# What sentence-transformers cuts at for this model.
MAX_TOKENS = 256


class SentenceEncoder(nn.Module):
    """[rows, tokens] ids and mask -> unit vectors [rows, hidden]."""

    def __init__(self, bert: BertModel):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        pooled = mean_pool(encode(self.bert, input_ids, attention_mask), attention_mask)
        return functional.normalize(pooled, dim=-1)


def load_bert(base: Path) -> BertModel:
    logging.set_verbosity_error()  # its report on the pooler that we do not use
    return BertModel.from_pretrained(base, add_pooling_layer=False).eval()


def export_fp32(base: Path, path: Path):
    """Writes the fp32 graph and returns it."""
    return export(SentenceEncoder(load_bert(base)), OUTPUT, path)
