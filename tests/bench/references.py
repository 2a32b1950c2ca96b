"""What our trainer is measured against: two train.py texts under the same harness.

`gpt2` is a plain GPT-2: learned positions, LayerNorm, GELU, biases, tied embeddings, normal
initialisation with the residual projections scaled down, AdamW with a linear warm-up and a cosine,
gradients clipped at 1 (Radford et al. 2019; the recipe is that of GPT-3, Brown et al. 2020). Its
width is chosen so that it has as many parameters as ours. `adamw` is our own architecture with its
matrices under AdamW instead of Muon, all else as it is.
"""

from __future__ import annotations

LEARNING_RATES = {
    "gpt2": (3e-4, 1e-3, 3e-3, 1e-2),
    "adamw": (1e-3, 3e-3, 1e-2, 3e-2),
}
"""Half a decade apart; the best of them should be none of the outermost."""

GPT2 = """
import math

import harness
import torch
import torch.nn.functional as F
from torch import nn

DEPTH = 4  # transformer layers
WIDTH = 152  # model width
HEADS = 4  # attention heads
LR = 1e-3  # AdamW step size at its peak
TOTAL_BATCH_TOKENS = 2048  # tokens an optimizer step
DEVICE_BATCH_ROWS = 8  # rows computed at once
COMPILE = False  # torch.compile


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.mix = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.expand, self.contract = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm_1(x)).view(B, T, 3, HEADS, C // HEADS).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mix(y.transpose(1, 2).reshape(B, T, C))
        return x + self.contract(F.gelu(self.expand(self.norm_2(x))))


class GPT2(nn.Module):
    def __init__(self, vocab_size, sequence_length, in_bf16):
        super().__init__()
        self.in_bf16 = in_bf16
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.positions = nn.Embedding(sequence_length, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                residual = name.endswith(("mix.weight", "contract.weight"))
                nn.init.normal_(p, std=0.02 / (math.sqrt(2 * DEPTH) if residual else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, idx):
        with torch.autocast(idx.device.type, torch.bfloat16, enabled=self.in_bf16):
            x = self.tokens(idx) + self.positions.weight[: idx.size(1)]
            for block in self.blocks:
                x = block(x)
            return F.linear(self.norm(x), self.tokens.weight).float()


def build_model(task):
    return GPT2(task.vocab_size, task.sequence_length, task.has_bf16).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    decayed = [p for p in model.parameters() if p.ndim == 2]
    plain = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.95), fused=True)
    compiled = COMPILE and task.compiling_pays
    network = torch.compile(model, dynamic=False) if compiled else model
    rows = max(1, TOTAL_BATCH_TOKENS // task.sequence_length)
    device_rows = min(rows, DEVICE_BATCH_ROWS)
    accumulation = math.ceil(rows / device_rows)

    def step():
        total = torch.zeros((), device=task.device)
        for _ in range(accumulation):
            inputs, targets = task.next_batch(device_rows)
            logits = network(inputs)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten()) / accumulation
            loss.backward()
            total += loss.detach()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        share = task.progress
        factor = min(1.0, share / 0.02 + 0.01) * (0.1 + 0.45 * (1 + math.cos(math.pi * share)))
        for group in optimizer.param_groups:
            group["lr"] = LR * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        task.report(loss=total, lr_factor=factor, grad_norm=norm)

    task.warm_up(step, model, [optimizer], compiled=compiled)
    while not task.done:
        step()
    task.finish(model)
"""

NOTHING = """
import math

import harness
import torch
from torch import nn

TOTAL_BATCH_TOKENS = 2048  # tokens an optimizer step
DEVICE_BATCH_ROWS = 8  # rows taken at once
COMPILE = False  # nothing to compile


def build_model(task):
    return nn.Embedding(task.vocab_size, task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model, loss = build_model(task), torch.ones((), device=task.device)
    rows = max(1, TOTAL_BATCH_TOKENS // task.sequence_length)
    device_rows = min(rows, DEVICE_BATCH_ROWS)
    while not task.done:
        for _ in range(math.ceil(rows / device_rows)):
            task.next_batch(device_rows)
        task.report(loss=loss, lr_factor=1.0, grad_norm=loss)
    task.finish(model)
"""
"""Takes batches and reports, and does nothing in between: what a step costs the harness."""


def gpt2(lr: float, parameters: int, vocab_size: int, sequence_length: int, depth: int) -> str:
    """The plain model with about so many `parameters` in all, as a train.py."""
    width = best_width(parameters, vocab_size, sequence_length, depth)
    return with_constants(GPT2, {"DEPTH": depth, "WIDTH": width, "LR": lr})


def best_width(parameters: int, vocab_size: int, sequence_length: int, depth: int) -> int:
    """The multiple of 8 with which the plain model comes nearest to `parameters`."""

    def count(width: int) -> int:
        block = 12 * width * width + 13 * width
        return (vocab_size + sequence_length) * width + depth * block + 2 * width

    return min(range(8, 4096, 8), key=lambda width: abs(count(width) - parameters))


def under_adamw(train_py: str, lr: float) -> str:
    """Our own train.py with AdamW for its matrices; raises ValueError where it has no Muon."""
    ours = "Muon(matrices, MATRIX_LR, MATRIX_WEIGHT_DECAY, model.in_bf16)"
    if train_py.count(ours) != 1:
        raise ValueError(f"train.py does not build its optimizer by {ours}")
    theirs = f"torch.optim.AdamW(matrices, {lr}, (0.9, 0.95), weight_decay=0.1, fused=True)"
    return train_py.replace(ours, theirs)


def with_constants(text: str, values: dict[str, object]) -> str:
    """A text with other values of its constants; raises ValueError for one that is not there."""
    lines = text.split("\n")
    for name, value in values.items():
        place = next((n for n, line in enumerate(lines) if line.startswith(f"{name} = ")), None)
        if place is None:
            raise ValueError(f"there is no constant {name}")
        lines[place] = f"{name} = {value!r}"
    return "\n".join(lines)
