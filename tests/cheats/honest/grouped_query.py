"""Honest: four query heads share one key head (arXiv 2305.13245), positions by ALiBi slopes."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, HEADS, KEY_HEADS, ROWS = 32, 4, 1, 8
HEAD_DIM = WIDTH // HEADS


class Block(nn.Module):
    def __init__(self, sequence_length):
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH, bias=False)
        self.key_value = nn.Linear(WIDTH, 2 * KEY_HEADS * HEAD_DIM, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        slopes = 2.0 ** -torch.arange(1, HEADS + 1)  # arXiv 2108.12409
        distance = torch.arange(sequence_length)[:, None] - torch.arange(sequence_length)
        bias = -slopes[:, None, None] * distance  # [H, T, T]
        bias = bias.masked_fill(distance < 0, -torch.inf)
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, x):
        B, T, C = x.shape
        h = F.rms_norm(x, (C,))
        q = self.query(h).view(B, T, HEADS, HEAD_DIM).transpose(1, 2)
        k, v = self.key_value(h).view(B, T, 2, KEY_HEADS, HEAD_DIM).permute(2, 0, 3, 1, 4)
        mask = self.bias[:, :T, :T]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        x = x + y.transpose(1, 2).reshape(B, T, C)
        return x + self.mlp(F.rms_norm(x, (C,)))


class Model(nn.Module):
    def __init__(self, vocab_size, sequence_length):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.blocks = nn.Sequential(Block(sequence_length), Block(sequence_length))
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        return self.head(self.blocks(self.tokens(idx)))


def build_model(task):
    return Model(task.vocab_size, task.sequence_length).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        task.report(loss=loss.detach())
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
