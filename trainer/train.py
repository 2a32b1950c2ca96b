"""The one file under research: model, optimizer, schedule, loop. Everything here may change.

The harness gives device, batches and time, and takes the score (see harness.py). The contract:
importing does nothing; `build_model(task)` returns a module with `forward(idx [B, T]) -> logits
[B, T, V]`; `main()` trains until `task.done` and hands the model to `task.finish`. Constants in
UPPER_CASE are the knobs; in brackets, the range in which a search may move them (presets.toml has
those of other machines).
"""

from __future__ import annotations

import math

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

PRESET = "auto"  # "auto": by hand, the constants come from presets.toml for the machine found

# model
DEPTH = 2  # transformer layers [1, 4]
ASPECT_RATIO = 64  # model width per layer, rounded up to whole heads [32, 96]
HEAD_DIM = 64  # width of an attention head [32, 128, pow2]
MLP_RATIO = 4  # hidden width of the MLP, in model widths [2, 6]
WINDOW_PATTERN = "SSSL"  # per layer, repeated: S short, L long window [SSSL|SL|L|SSL]
SHORT_WINDOW = 0.5  # short window, in sequence lengths [0.0625, 0.5]
VALUE_EMBEDDING_EVERY = 1  # layers from one value embedding to the next, 0 none [0, 4]
SOFTCAP = 15.0  # logits are squashed into ± this [5.0, 50.0, log]
ROTARY_BASE = (
    10000.0  # longest rotary wavelength is 2π times this, in tokens [500.0, 200000.0, log]
)

# optimizer
TOTAL_BATCH_TOKENS = 2048  # tokens an optimizer step [1024, 8192, pow2]
DEVICE_BATCH_ROWS = 8  # rows computed at once; more tokens a step are accumulated
MATRIX_LR = 0.03  # Muon step size [0.005, 0.08, log]
EMBEDDING_LR = 0.3  # AdamW step size, token and value embeddings [0.01, 0.6, log]
UNEMBEDDING_LR = 0.01  # AdamW step size, output matrix [0.001, 0.05, log]
SCALAR_LR = 0.02  # AdamW step size, residual and gate scalars [0.002, 0.2, log]
MATRIX_WEIGHT_DECAY = 0.05  # Muon, where update and weight agree in sign [0.0, 0.3]
MOMENTUM = 0.92  # Muon, Nesterov [0.8, 0.98]
SECOND_MOMENT = 0.95  # Muon, decay of each output's mean squared update [0.8, 0.99]
ADAM_BETA1 = 0.8  # AdamW, decay of the mean gradient [0.6, 0.95]
ADAM_BETA2 = 0.95  # AdamW, decay of the mean squared gradient [0.9, 0.999]

# schedule, in shares of the budget
WARMUP = 0.02  # linear rise of all step sizes [0.0, 0.1]
WARMDOWN = 0.6  # linear fall at the end [0.2, 1.0]
FINAL_LR = 0.02  # step size at the very end, in peaks [0.0, 0.2]

# machine
PRECISION = "bfloat16"  # type of the matrix products; bfloat16 only where the device has it
COMPILE = False  # torch.compile; pays on a GPU, or with minutes of budget


def norm(x: torch.Tensor) -> torch.Tensor:
    """RMSNorm without weights, over the last dimension."""
    return F.rms_norm(x, (x.size(-1),))


def rotary_tables(length: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the rotary embedding (arXiv 2104.09864), [length, width/2] each."""
    frequencies = ROTARY_BASE ** -(torch.arange(0, width, 2).float() / width)  # [D/2]
    angles = torch.outer(torch.arange(length).float(), frequencies)  # [T, D/2]
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn each pair of features by its position's angle."""
    a, b = x.chunk(2, dim=-1)  # [B, H, T, D/2] each
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1).type_as(x)  # [B, H, T, D]


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Causal attention, or with a bias [T, T] on its scores instead. [B, H, T, D] in and out."""
    if bias is None:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.type_as(q))


class Block(nn.Module):
    """Attention and ReLU² MLP, each on the normalized stream and added to it."""

    def __init__(self, width: int, heads: int, has_value_embedding: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.expand = nn.Linear(width, MLP_RATIO * width, bias=False)
        self.contract = nn.Linear(MLP_RATIO * width, width, bias=False)
        self.value_gate = nn.Parameter(torch.zeros(heads)) if has_value_embedding else None

    def forward(
        self,
        x: torch.Tensor,
        value_embedding: torch.Tensor | None,
        rotary: tuple[torch.Tensor, torch.Tensor],
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        """[B, T, C] -> [B, T, C]."""
        B, T, C = x.shape
        h = norm(x)
        q = self.query(h).view(B, T, self.heads, -1).transpose(1, 2)  # [B, H, T, D]
        k = self.key(h).view(B, T, self.heads, -1).transpose(1, 2)
        v = self.value(h).view(B, T, self.heads, -1).transpose(1, 2)
        if value_embedding is not None:
            extra = value_embedding.view(B, T, self.heads, -1).transpose(1, 2)  # [B, H, T, D]
            gate = 2 * torch.sigmoid(self.value_gate).view(1, -1, 1, 1)
            v = v + (gate * extra).type_as(v)
        q, k = norm(rotate(q, *rotary)), norm(rotate(k, *rotary))
        y = attend(q.type_as(v), k.type_as(v), v, bias)  # [B, H, T, D]
        x = x + self.mix(y.transpose(1, 2).reshape(B, T, C))
        return x + self.contract(F.relu(self.expand(norm(x))).square())


class GPT(nn.Module):
    """A decoder whose blocks see the token embedding again, scaled, at every layer."""

    def __init__(self, vocab_size: int, sequence_length: int, in_bf16: bool) -> None:
        super().__init__()
        self.in_bf16 = in_bf16
        width = math.ceil(DEPTH * ASPECT_RATIO / HEAD_DIM) * HEAD_DIM
        self.embedding = nn.Embedding(vocab_size, width)
        every = VALUE_EMBEDDING_EVERY
        with_value = [i for i in range(DEPTH) if every and (DEPTH - 1 - i) % every == 0]
        self.value_embeddings = nn.ModuleDict(
            {str(i): nn.Embedding(vocab_size, width) for i in with_value}
        )
        self.blocks = nn.ModuleList(
            Block(width, width // HEAD_DIM, i in with_value) for i in range(DEPTH)
        )
        self.unembedding = nn.Linear(width, vocab_size, bias=False)
        self.stream_scale = nn.Parameter(torch.ones(DEPTH))
        self.embedding_scale = nn.Parameter(torch.full((DEPTH,), 0.1))
        cos, sin = rotary_tables(sequence_length, HEAD_DIM)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.windows = [window_of(i, sequence_length) for i in range(DEPTH)]
        distance = torch.arange(sequence_length)[:, None] - torch.arange(sequence_length)
        outside = (distance < 0) | (distance >= min(self.windows))  # [T, T]
        bias = torch.zeros(outside.shape).masked_fill(outside, -math.inf)
        self.register_buffer("short_bias", bias, persistent=False)
        self.initialize()

    def initialize(self) -> None:
        """Matrices uniform with deviation 1/sqrt(width); what adds to the stream starts at zero."""
        for name, p in self.named_parameters():
            if name.startswith("embedding."):
                nn.init.normal_(p)
            elif name.endswith(("mix.weight", "contract.weight")):
                nn.init.zeros_(p)
            elif name.startswith("unembedding."):
                nn.init.normal_(p, std=0.001)
            elif p.ndim == 2:
                bound = math.sqrt(3 / p.size(1))
                nn.init.uniform_(p, -bound, bound)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        """int64 [B, T] -> logits [B, T, V]. Any T up to the sequence length."""
        with torch.autocast(idx.device.type, torch.bfloat16, enabled=self.in_bf16):
            T = idx.size(1)
            rotary = self.cos[:T], self.sin[:T]
            x = first = norm(self.embedding(idx))  # [B, T, C]
            for i, block in enumerate(self.blocks):
                x = self.stream_scale[i] * x + self.embedding_scale[i] * first
                value = self.value_embeddings[str(i)](idx) if block.value_gate is not None else None
                bias = self.short_bias[:T, :T] if self.windows[i] < T else None
                x = block(x, value, rotary, bias)
            logits = self.unembedding(norm(x) / SOFTCAP)  # [B, T, V], to be squashed
        return SOFTCAP * torch.tanh(logits.float())

    def flops_per_token(self) -> float:
        """Training FLOPs a token: 6 per matrix weight, 12 per attended key (PaLM, appendix B)."""
        weights = sum(p.numel() for p in self.blocks.parameters() if p.ndim == 2)
        weights += self.unembedding.weight.numel()
        return 6 * weights + 12 * self.embedding.embedding_dim * sum(self.windows)


def window_of(layer: int, sequence_length: int) -> int:
    """How many tokens a position of this layer sees, itself included. The last layer sees all."""
    kind = WINDOW_PATTERN[layer % len(WINDOW_PATTERN)]
    if kind == "L" or layer == DEPTH - 1:
        return sequence_length
    return max(1, int(SHORT_WINDOW * sequence_length))


# The first coefficients of Polar Express (arXiv 2505.16932): five steps of a polynomial that
# takes all singular values near 1, each step the best for where the one before it ends.
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def orthogonalize(g: torch.Tensor) -> torch.Tensor:
    """The nearest (semi-)orthogonal matrices to g [N, rows, columns], roughly."""
    x = g.bfloat16() if g.is_cuda else g
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.01 + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        gram = x @ x.mT  # [N, r, r]
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).type_as(g)


def muon_update(
    w: torch.Tensor,
    g: torch.Tensor,
    momentum: torch.Tensor,
    second: torch.Tensor,
    lr: torch.Tensor,
    decay: torch.Tensor,
) -> None:
    """One step on stacked matrices w, g, momentum [N, rows, columns]; second [N, rows, 1].

    Muon (Jordan 2024) with a second moment for each output as in NorMuon (arXiv 2510.05491), and
    weight decay only where it agrees with the step (arXiv 2510.12402).
    """
    momentum.lerp_(g, 1 - MOMENTUM)
    update = orthogonalize(g.lerp(momentum, MOMENTUM))  # [N, rows, columns]
    square = update.square().mean(dim=-1, keepdim=True)  # [N, rows, 1]
    second.lerp_(square, 1 - SECOND_MOMENT)
    scaled = update * second.clamp_min(1e-10).rsqrt()
    scaled *= update.norm(dim=(-2, -1), keepdim=True) / (
        scaled.norm(dim=(-2, -1), keepdim=True) + 1e-10
    )
    agrees = (scaled * w) >= 0
    shape_factor = max(1.0, w.size(-2) / w.size(-1)) ** 0.5
    w.sub_(lr * shape_factor * scaled + lr * decay * w * agrees)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized; matrices of one shape are stacked and updated at once."""

    def __init__(self, matrices: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        shapes = sorted({tuple(p.shape) for p in matrices})
        groups = [{"params": [p for p in matrices if tuple(p.shape) == s]} for s in shapes]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})
        self.update = torch.compile(muon_update, dynamic=False) if COMPILE else muon_update

    @torch.no_grad()
    def step(self) -> None:
        """Update every matrix by its gradient."""
        for group in self.param_groups:
            params = group["params"]
            g = torch.stack([p.grad for p in params])  # [N, rows, columns]
            w = torch.stack(list(params))
            state = self.state[params[0]]
            if not state:
                state["momentum"] = torch.zeros_like(g)
                state["second"] = torch.zeros_like(g[..., :1])
            lr = torch.tensor(group["lr"])  # a tensor: a number would be compiled in
            decay = torch.tensor(group["weight_decay"])
            self.update(w, g, state["momentum"], state["second"], lr, decay)
            torch._foreach_copy_(list(params), list(w.unbind()))


def build_model(task: harness.Task) -> GPT:
    """The model on the task's device."""
    in_bf16 = PRECISION == "bfloat16" and task.has_bf16
    return GPT(task.vocab_size, task.sequence_length, in_bf16).to(task.device)


def build_optimizers(model: GPT) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for everything else."""
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    scalars = [p for p in model.parameters() if p.ndim < 2]
    embeddings = [model.embedding.weight, *model.value_embeddings.parameters()]
    adam = torch.optim.AdamW(
        [
            {"params": embeddings, "lr": EMBEDDING_LR},
            {"params": [model.unembedding.weight], "lr": UNEMBEDDING_LR},
            {"params": scalars, "lr": SCALAR_LR},
        ],
        betas=(ADAM_BETA1, ADAM_BETA2),
        eps=1e-10,
        weight_decay=0.0,
        fused=True,
    )
    return [Muon(matrices, MATRIX_LR, MATRIX_WEIGHT_DECAY), adam]


def lr_factor(progress: float) -> float:
    """The share of the peak step size at this point of the budget: trapezoid."""
    if progress < WARMUP:
        return max(0.05, progress / WARMUP)
    if progress <= 1 - WARMDOWN:
        return 1.0
    rest = (1 - progress) / WARMDOWN
    return rest + (1 - rest) * FINAL_LR


def main() -> None:
    """Train until the time is up, then hand over the model."""
    task = harness.start()
    model = build_model(task)
    task.flops_per_token = model.flops_per_token()
    optimizers = build_optimizers(model)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    peaks = [group["lr"] for group in groups]
    network = torch.compile(model, dynamic=False) if COMPILE else model

    rows = max(1, TOTAL_BATCH_TOKENS // task.sequence_length)
    device_rows = min(rows, DEVICE_BATCH_ROWS)
    accumulation = math.ceil(rows / device_rows)

    def step() -> None:
        total = torch.zeros((), device=task.device)
        for _ in range(accumulation):
            inputs, targets = task.next_batch(device_rows)  # [B, T] each
            logits = network(inputs)  # [B, T, V]
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten()) / accumulation
            loss.backward()
            total += loss.detach()
        factor = lr_factor(task.progress)
        for group, peak in zip(groups, peaks, strict=True):
            group["lr"] = peak * factor
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
        task.report(loss=total, lr_factor=factor)

    task.warm_up(step, model, optimizers, compiled=COMPILE)
    while not task.done:
        step()
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
