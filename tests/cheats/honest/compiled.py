"""Honest: torch.compile with options of its own, where there is a GPU to pay for it."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
OPTIONS = {"max_autotune": True, "triton.cudagraphs": False, "epilogue_fusion": True}

torch._dynamo.config.cache_size_limit = 64
torch._inductor.config.coordinate_descent_tuning = True
torch.backends.cuda.matmul.allow_tf32 = True
torch.set_float32_matmul_precision("high")


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x = self.tokens(idx)
        q, k, v = (part.unsqueeze(1) for part in self.qkv(x).chunk(3, dim=-1))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        return self.head(x + self.mlp(x))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    on_gpu = task.device.type == "cuda"
    network = torch.compile(model, dynamic=False, options=OPTIONS) if on_gpu else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    update = torch.compile(optimizer.step, fullgraph=False) if on_gpu else optimizer.step

    def step():
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(network(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        update()
        optimizer.zero_grad(set_to_none=True)
        task.report(loss=loss.detach())

    task.warm_up(step, model, [optimizer], compiled=on_gpu)
    while not task.done:
        step()
    task.finish(network)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
