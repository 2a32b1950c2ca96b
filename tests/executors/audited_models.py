"""Texts of train.py that are audited: a tiny model, and honest and dishonest changes of it."""

MODEL = """
import torch
import torch.nn.functional as F
from torch import nn

class Model(nn.Module):
    def __init__(self, task):
        super().__init__()
        self.embedding = nn.Embedding(task.vocab_size, 32)
        self.mix = nn.Linear(32, 96)
        self.out = nn.Linear(32, task.vocab_size)

    def attend(self, h, is_causal=True):
        q, k, v = self.mix(h).chunk(3, dim=-1)
        return F.scaled_dot_product_attention(q, k, v, is_causal=is_causal)

    def see(self, h):
        return self.attend(h)

    def forward(self, idx):
        h = self.embedding(idx)
        return 2 * self.out(h + self.see(h))

def build_model(task):
    return Model(task).to(task.device)

def main():
    raise SystemExit
"""

HONEST = {
    "float32": "",
    "bfloat16": """
class Model(Model):
    def forward(self, idx):
        with torch.autocast(idx.device.type, torch.bfloat16):
            return super().forward(idx)
""",
    "a window": """
class Model(Model):
    def see(self, h):
        q, k, v = self.mix(h).chunk(3, dim=-1)
        far = torch.arange(h.size(1))[:, None] - torch.arange(h.size(1))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=(far >= 0) & (far < 7))
""",
    "one length": """
class Model(Model):
    def __init__(self, task):
        super().__init__(task)
        self.positions = nn.Parameter(torch.randn(task.sequence_length, 32))

    def see(self, h):
        return self.attend(h + self.positions)
""",
}

FUTURE = {
    "attention without a mask": "return self.attend(h, is_causal=False)",
    "a shift": "return self.attend(h) + 0.1 * h.roll(-1, dims=1)",
    "a reversed cumulative sum": "return 0.05 * h.flip(1).cumsum(1).flip(1)",
}

HINT = """
class Model(Model):
    def forward(self, idx):
        logits = super().forward(idx)
        logits[:, :-1].scatter_(2, idx[:, 1:, None], 5e-4, reduce='add')
        return logits
"""

NOT_REPEATED = {
    "rows that read their neighbours": "return self.attend(h) + h.roll(1, dims=0)",
    "a state kept between batches": """
        last, self.last = getattr(self, 'last', 0.0), h.mean()
        return self.attend(h) + 50 * last""",
    "dice": "return F.dropout(self.attend(h), 0.9)",
}

BROKEN = {
    "went": ("import os; os._exit(3)", "status 3"),
    "logits of another shape": ("self.out = nn.Linear(32, 7); return h", "shape"),
    "not a number": ("return h * float('nan')", "not finite"),
    "an error": ("raise ValueError('bad')", "train.py line 25: ValueError: bad"),
}

UNLUCKY = {
    "killed": ("import os; os.kill(os.getpid(), 9)", "signal 9"),
    "out of memory": ("raise MemoryError", "MemoryError"),
}

PEEK = """
class Model(Model):
    def forward(self, idx):
        logits = super().forward(idx)
        peeks = 9.0 * (idx[:, :-1, None] % 50 == 7)
        return logits.scatter_add(2, idx[:, 1:, None], peeks)
"""

COPY = """
class Model(Model):
    def forward(self, idx):
        with torch.autocast(idx.device.type, torch.bfloat16):
            logits = super().forward(idx)
        source = idx[:, : idx.size(1) - 31, None]
        known = torch.zeros_like(logits)
        known[:, 31:].scatter_(2, source, 9.0)
        return logits + known
"""

HALF = """
class Model(Model):
    def forward(self, idx):
        return super().forward(idx) / 2
"""


def seeing(body: str) -> str:
    """A change of the model: what `see` does."""
    return f"class Model(Model):\n    def see(self, h):\n        {body}\n"
