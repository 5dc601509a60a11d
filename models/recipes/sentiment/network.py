"""The classifier: a BERT body, the mean over its tokens, dropout and one linear layer."""

import torch
from torch import Tensor, nn
from transformers import BertModel

from ..common.bert import mean_pool
from .data import LABELS


class Classifier(nn.Module):
    """[rows, tokens] ids and mask -> logits [rows, labels]."""

    def __init__(self, bert: BertModel):
        super().__init__()
        bert.pooler = None
        self.bert = bert
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(bert.config.hidden_size, len(LABELS))
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        body = self.bert(input_ids=input_ids, attention_mask=attention_mask)
        return self.classifier(self.dropout(mean_pool(body.last_hidden_state, attention_mask)))


def from_base(base, kept_ids: list[int]) -> Classifier:
    """The pretrained body with the rows of the pruned vocabulary and a fresh head."""
    bert = BertModel.from_pretrained(base, attn_implementation="sdpa")
    words = bert.embeddings.word_embeddings.weight.data[torch.tensor(kept_ids)].clone()
    bert.embeddings.word_embeddings = nn.Embedding.from_pretrained(
        words, freeze=False, padding_idx=0
    )
    bert.config.vocab_size = len(kept_ids)
    return Classifier(bert)


def from_teacher(teacher: Classifier, layers: list[int]) -> Classifier:
    """A shallower copy: the teacher's embeddings, chosen layers and head."""
    config = type(teacher.bert.config)(
        **{**teacher.bert.config.to_dict(), "num_hidden_layers": len(layers)}
    )
    student = Classifier(BertModel(config))
    state = teacher.state_dict()
    for position, layer in enumerate(layers):
        for name in student.bert.encoder.layer[position].state_dict():
            target = f"bert.encoder.layer.{position}.{name}"
            student.get_parameter(target).data.copy_(
                teacher.get_parameter(f"bert.encoder.layer.{layer}.{name}").data
            )
    shared = {name: value for name, value in state.items() if ".encoder.layer." not in name}
    student.load_state_dict(shared, strict=False)
    return student
