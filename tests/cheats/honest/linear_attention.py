"""Honest: no softmax; a state with learnt decay is carried along the row (RWKV, GLA)."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8


class Mixer(nn.Module):
    """y_t = q_t S_t with S_t = decay * S_(t-1) + k_t v_t^T, all rows and times at once."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.decay = nn.Parameter(torch.linspace(1.0, 5.0, WIDTH))
        self.gate = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        T = x.size(1)
        q, k, v = self.qkv(x).chunk(3, dim=-1)  # [B, T, C] each
        log_decay = F.logsigmoid(self.decay)  # [C]
        place = torch.arange(T, device=x.device)
        distance = (place[:, None] - place).clamp_min(0)  # [T, T]
        weight = (distance[..., None] * log_decay).exp()  # [T, T, C]
        scores = torch.einsum("btc,bsc,tsc->bts", F.elu(q) + 1, F.elu(k) + 1, weight).tril()
        y = scores @ v / (scores.sum(-1, keepdim=True) + 1e-3)
        return y * torch.sigmoid(self.gate(x))


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.mixers = nn.ModuleList([Mixer(), Mixer()])
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x = self.tokens(idx)
        for mixer in self.mixers:
            x = x + mixer(F.rms_norm(x, (WIDTH,)))
        return self.head(x + self.mlp(F.rms_norm(x, (WIDTH,))))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


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
