"""The one file under research: model, optimizer, schedule, loop. Everything here may change.

The harness gives device, batches and time, and takes the score (see harness.py). The contract:
importing does nothing; `build_model(task)` returns a module with `forward(idx [B, T]) -> logits
[B, T, V]`; `main()` trains until `task.done` and hands the model to `task.finish`. Constants in
UPPER_CASE are the knobs; in brackets, the range in which a search may move them (presets.toml has
those of other machines).

B rows, T tokens a row, V vocabulary, C model width, H heads, D head width.
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
CONVOLUTION = 3  # earlier tokens that queries, keys and values are mixed with [0, 4]
VALUE_EMBEDDING_EVERY = 1  # layers from one value embedding to the next, 0 none [0, 4]
EMBEDDING_SHARE = 0.1  # initial share of the token embedding in every layer's input [0.0, 0.3]
INIT_SCALE = 1.0  # initial deviation of the matrices, in 1/sqrt(C) [0.3, 1.5]
SOFTCAP = 0.0  # logits are squashed into ± this, 0 leaves them [0.0, 30.0]
ROTARY_BASE = 10000.0  # longest rotary wavelength, in 2π tokens [500.0, 500000.0, log]

# optimizer
TOTAL_BATCH_TOKENS = 2048  # tokens an optimizer step [1024, 8192, pow2]
DEVICE_BATCH_ROWS = 8  # rows computed at once; more tokens a step are accumulated
LOSS_CHUNK = 512  # tokens whose logits are held at once
MATRIX_LR = 0.03  # Muon step size [0.005, 0.08, log]
EMBEDDING_LR = 0.3  # AdamW step size, token and value embeddings [0.01, 0.6, log]
UNEMBEDDING_LR = 0.01  # AdamW step size, output matrix [0.001, 0.05, log]
CONVOLUTION_LR = 0.1  # AdamW step size, convolution taps [0.005, 0.5, log]
SCALAR_LR = 0.02  # AdamW step size, gates; shares of the stream in proportion [0.002, 0.2, log]
MATRIX_WEIGHT_DECAY = 0.05  # Muon, where update and weight agree in sign; falls to 0 [0.0, 0.3]
EMBEDDING_WEIGHT_DECAY = 0.0  # AdamW, token and value embeddings [0.0, 0.01]
MOMENTUM = 0.95  # Muon, Nesterov [0.8, 0.98]
MOMENTUM_WARMUP = 0.1  # share of the budget in which it rises from 0.85 [0.0, 0.4]
SECOND_MOMENT = 0.95  # Muon, decay of each output's mean squared update [0.8, 0.99]
ADAM_BETA1 = 0.8  # AdamW, decay of the mean gradient [0.6, 0.95]
ADAM_BETA2 = 0.95  # AdamW, decay of the mean squared gradient [0.9, 0.999]

# schedule, in shares of the budget
WARMUP = 0.02  # linear rise of all step sizes [0.0, 0.1]
WARMDOWN = 0.6  # linear fall at the end [0.2, 1.0]
FINAL_LR = 0.02  # step size at the very end, in peaks [0.0, 0.2]

# machine
PRECISION = "bfloat16"  # type of the matrix products; bfloat16 only where the device has it
COMPILE = True  # torch.compile, where the device and the budget pay for it


def norm(x: torch.Tensor) -> torch.Tensor:
    """RMSNorm without weights, over the last dimension."""
    return F.rms_norm(x, (x.size(-1),))


def rotary_tables(length: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the rotary embedding (arXiv 2104.09864), [length, 1, width/2] each."""
    frequencies = ROTARY_BASE ** -(torch.arange(0, width, 2).float() / width)  # [D/2]
    angles = torch.outer(torch.arange(length).float(), frequencies)[:, None]  # [T, 1, D/2]
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn each pair of features by its position's angle. [B, T, H, D] in and out."""
    a, b = x.chunk(2, dim=-1)  # [B, T, H, D/2] each
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)


def convolve(x: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """x [B, T, C] plus its earlier tokens, each times its tap [C]; causal.

    With it a single layer can find what followed the last time a token was seen, which otherwise
    takes two. (Primer, arXiv 2109.08668, has it behind these projections too.)
    """
    y = x
    for lag, tap in enumerate(taps.to(x.dtype), start=1):
        y = torch.addcmul(y, F.pad(x, (0, 0, lag, 0))[:, : x.size(1)], tap)
    return y


class Linear(nn.Linear):
    """A matrix kept in float32 and multiplied in the type of its input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., inputs] -> [..., outputs]."""
        return F.linear(x, self.weight.to(x.dtype))


class Block(nn.Module):
    """Attention and ReLU² MLP, each on the normalized stream and added to it."""

    def __init__(self, width: int, heads: int, has_value_embedding: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Parameter(torch.empty(3, width, width))  # one product for three
        self.taps = nn.Parameter(torch.zeros(CONVOLUTION, 3 * width)) if CONVOLUTION else None
        self.value_gate = nn.Parameter(torch.zeros(heads, 1)) if has_value_embedding else None
        self.mix = Linear(width, width)
        self.expand = Linear(width, MLP_RATIO * width)
        self.contract = Linear(MLP_RATIO * width, width)

    def forward(
        self,
        x: torch.Tensor,
        value_embedding: torch.Tensor | None,
        rotary: tuple[torch.Tensor, torch.Tensor],
        window: int,
    ) -> torch.Tensor:
        """[B, T, C] -> [B, T, C]."""
        (B, T, C), H = x.shape, self.heads
        qkv = F.linear(norm(x), self.query_key_value.flatten(0, 1).to(x.dtype))  # [B, T, 3C]
        if self.taps is not None:
            qkv = convolve(qkv, self.taps)
        qk, v = qkv.view(B, T, 3 * H, C // H).split((2 * H, H), dim=2)  # [B, T, 2H and H, D]
        if self.value_gate is not None:
            gate = 2 * torch.sigmoid(self.value_gate).type_as(v)  # [H, 1]
            v = v + gate * value_embedding.view(B, T, H, C // H)
        q, k = rotate(norm(qk), *rotary).transpose(1, 2).chunk(2, dim=1)  # [B, H, T, D] each
        y = harness.attention(q, k, v.transpose(1, 2), window)  # [B, H, T, D]
        x = x + self.mix(y.transpose(1, 2).reshape(B, T, C))
        return x + self.contract(F.relu(self.expand(norm(x))).square())


class GPT(nn.Module):
    """A decoder whose blocks see the token embedding again, scaled, at every layer."""

    def __init__(self, vocab_size: int, sequence_length: int, in_bf16: bool) -> None:
        super().__init__()
        self.in_bf16 = in_bf16
        width = math.ceil(DEPTH * ASPECT_RATIO / HEAD_DIM) * HEAD_DIM
        every = VALUE_EMBEDDING_EVERY
        self.valued = [i for i in range(DEPTH) if every and (DEPTH - 1 - i) % every == 0]
        self.embedding = nn.Embedding(vocab_size, width)
        # Those of all layers side by side: one gather, and one sort of tokens in its backward pass.
        self.value_embedding = nn.Embedding(vocab_size, width * len(self.valued))
        self.blocks = nn.ModuleList(
            Block(width, width // HEAD_DIM, i in self.valued) for i in range(DEPTH)
        )
        self.unembedding = Linear(width, vocab_size)
        self.stream_share = nn.Parameter(torch.ones(DEPTH))
        self.embedding_share = nn.Parameter(torch.full((DEPTH,), EMBEDDING_SHARE))
        cos, sin = rotary_tables(sequence_length, HEAD_DIM)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.windows = [window_of(i, sequence_length) for i in range(DEPTH)]
        self.initialize(math.sqrt(3 / width))

    def initialize(self, bound: float) -> None:
        """Uniform matrices of deviation 1/sqrt(C); what is added to the stream starts at zero."""
        nn.init.normal_(self.embedding.weight)
        nn.init.uniform_(self.value_embedding.weight, -bound, bound)
        nn.init.normal_(self.unembedding.weight, std=0.001)
        for block in self.blocks:
            for matrix in (block.query_key_value, block.expand.weight):
                nn.init.uniform_(matrix, -INIT_SCALE * bound, INIT_SCALE * bound)
            nn.init.zeros_(block.mix.weight)
            nn.init.zeros_(block.contract.weight)

    def features(self, idx: torch.Tensor) -> torch.Tensor:
        """int64 [B, T] -> [B, T, C], what logits are made of. Any T up to the sequence length."""
        dtype = torch.bfloat16 if self.in_bf16 else torch.float32
        rotary = self.cos[: idx.size(1)].to(dtype), self.sin[: idx.size(1)].to(dtype)
        x = first = norm(self.embedding(idx).to(dtype))  # [B, T, C]
        values = dict.fromkeys(range(DEPTH))
        if self.valued:
            found = self.value_embedding(idx).to(dtype).chunk(len(self.valued), dim=-1)
            values |= dict(zip(self.valued, found, strict=True))  # [B, T, C] each
        stream, again = self.stream_share.to(dtype), self.embedding_share.to(dtype)
        for i, block in enumerate(self.blocks):
            x = block(stream[i] * x + again[i] * first, values[i], rotary, self.windows[i])
        return norm(x)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        """int64 [B, T] -> float32 logits [B, T, V]."""
        logits = self.unembedding(self.features(idx)).float()
        return SOFTCAP * torch.tanh(logits / SOFTCAP) if SOFTCAP else logits

    def loss(self, idx: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean nats a token, of these same logits; int64 [B, T] both."""
        x = self.features(idx).flatten(0, 1)  # [B*T, C]
        return Nats.apply(x, self.unembedding.weight.to(x.dtype), targets.flatten())

    def flops_per_token(self) -> float:
        """Training FLOPs a token: 6 per matrix weight, 12 per attended key (PaLM, appendix B)."""
        matrices = [*matrices_of(self), self.unembedding.weight]
        attended = self.embedding.embedding_dim * sum(self.windows)
        return 6 * sum(p.numel() for p in matrices) + 12 * attended


class Nats(torch.autograd.Function):
    """Cross-entropy of features times a matrix, a chunk of tokens at a time.

    Its gradients are computed on the way, so logits, which are larger than all else, are never kept
    for the backward pass: they are gone when they have been used, on a CPU before they have left
    its cache.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        x: torch.Tensor,
        w: torch.Tensor,
        targets: torch.Tensor,
    ) -> torch.Tensor:
        """x [N, C], w [V, C], targets int64 [N] -> mean nats."""
        nats, dx, dw = 0.0, [], torch.zeros_like(w, dtype=torch.float32)
        for part, target in zip(x.split(LOSS_CHUNK), targets.split(LOSS_CHUNK), strict=True):
            hit = torch.arange(len(part), device=x.device), target
            slope = 1.0  # of the logits' squashing
            logits = part @ w.T  # [n, V]
            if SOFTCAP:  # tanh by a sigmoid, which is the same but for a shift, and cheaper
                squashed = torch.sigmoid(logits.float() * (2 / SOFTCAP))
                slope = 4 * squashed * (1 - squashed)
                logits = 2 * SOFTCAP * squashed
            p = torch.softmax(logits, dim=-1)
            nats = nats - p[hit].float().clamp_min(1e-30).log().sum()
            d = (p * slope).to(x.dtype) if SOFTCAP else p  # of the logits, but for the targets' 1
            d[hit] -= slope[hit].to(x.dtype) if SOFTCAP else 1
            dx.append(d @ w)
            dw += d.T @ part
        ctx.save_for_backward(torch.cat(dx), dw)
        return nats / len(x)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, scale: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        """The kept gradients, scaled."""
        dx, dw = ctx.saved_tensors
        scale = scale / len(dx)
        return dx * scale.to(dx.dtype), (dw * scale).to(dx.dtype), None


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


def orthogonalize(g: torch.Tensor, in_bf16: bool) -> torch.Tensor:
    """The nearest (semi-)orthogonal matrices to g [N, rows, columns], roughly."""
    x = g.bfloat16() if in_bf16 else g
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
    mean: torch.Tensor,
    square: torch.Tensor,
    lr: torch.Tensor,
    decay: torch.Tensor,
    momentum: torch.Tensor,
    in_bf16: bool,
) -> None:
    """One step on stacked matrices w, their gradients g and g's running mean, [N, rows, columns].

    Muon (Jordan 2024) with a second moment for each output, square [N, rows, 1], as in NorMuon
    (arXiv 2510.05491), and weight decay only where it agrees with the step (arXiv 2510.12402).
    """
    mean += (1 - momentum) * (g - mean)
    update = orthogonalize(g + momentum * (mean - g), in_bf16)  # [N, rows, columns]
    square.lerp_(update.square().mean(dim=-1, keepdim=True), 1 - SECOND_MOMENT)
    scaled = update * square.clamp_min(1e-10).rsqrt()
    scaled *= update.norm(dim=(-2, -1), keepdim=True) / (
        scaled.norm(dim=(-2, -1), keepdim=True) + 1e-10
    )
    agrees = (scaled * w) >= 0
    shape_factor = max(1.0, w.size(-2) / w.size(-1)) ** 0.5
    w -= lr * shape_factor * scaled + lr * decay * w * agrees


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized; matrices of one shape are stacked and updated at once.

    A parameter of three dimensions is a stack of matrices.
    """

    def __init__(
        self, matrices: list[nn.Parameter], lr: float, weight_decay: float, in_bf16: bool
    ) -> None:
        shapes = sorted({p.shape[-2:] for p in matrices})
        groups = [{"params": [p for p in matrices if p.shape[-2:] == s]} for s in shapes]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": MOMENTUM})
        self.in_bf16 = in_bf16
        compiled = COMPILE and matrices[0].is_cuda  # on a CPU products take nearly all of it
        self.update = torch.compile(muon_update, dynamic=False) if compiled else muon_update

    @torch.no_grad()
    def step(self) -> None:
        """Update every matrix by its gradient."""
        for group in self.param_groups:
            params = group["params"]
            shape = params[0].shape[-2:]
            g = torch.cat([p.grad.view(-1, *shape) for p in params])  # [N, rows, columns]
            w = torch.cat([p.view(-1, *shape) for p in params])
            state = self.state[params[0]]
            if not state:
                state["mean"] = torch.zeros_like(g)
                state["square"] = torch.zeros_like(g[..., :1])
            # Tensors: numbers would be compiled in.
            rates = [torch.tensor(group[name]) for name in ("lr", "weight_decay", "momentum")]
            self.update(w, g, state["mean"], state["square"], *rates, self.in_bf16)
            new = w.split([p.numel() // shape.numel() for p in params])
            torch._foreach_copy_(params, [n.view_as(p) for n, p in zip(new, params, strict=True)])


def matrices_of(model: GPT) -> list[nn.Parameter]:
    """The blocks' matrices, which Muon trains."""
    return [
        matrix
        for block in model.blocks
        for matrix in (
            block.query_key_value,
            block.mix.weight,
            block.expand.weight,
            block.contract.weight,
        )
    ]


def build_model(task: harness.TaskInfo) -> GPT:
    """The model on the task's device."""
    in_bf16 = PRECISION == "bfloat16" and task.has_bf16
    with task.device:
        return GPT(task.vocab_size, task.sequence_length, in_bf16)


def build_optimizers(model: GPT) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for everything else."""
    matrices = matrices_of(model)
    taps = [block.taps for block in model.blocks if block.taps is not None]
    gates = [block.value_gate for block in model.blocks if block.value_gate is not None]
    embeddings = [model.embedding.weight, model.value_embedding.weight]
    decay = EMBEDDING_WEIGHT_DECAY
    adam = torch.optim.AdamW(
        [
            {"params": embeddings, "lr": EMBEDDING_LR, "weight_decay": decay},
            {"params": [model.unembedding.weight], "lr": UNEMBEDDING_LR},
            {"params": taps, "lr": CONVOLUTION_LR},
            {"params": gates, "lr": SCALAR_LR},
            # What is added forgives large steps, what multiplies through all layers does not.
            {"params": [model.embedding_share], "lr": 10 * SCALAR_LR},
            {"params": [model.stream_share], "lr": 0.1 * SCALAR_LR},
        ],
        betas=(ADAM_BETA1, ADAM_BETA2),
        eps=1e-10,
        weight_decay=0.0,
        fused=True,
    )
    return [Muon(matrices, MATRIX_LR, MATRIX_WEIGHT_DECAY, model.in_bf16), adam]


def lr_factor(progress: float) -> float:
    """The share of the peak step size at this point of the budget: trapezoid."""
    if progress < WARMUP:
        return max(0.05, progress / WARMUP)
    if progress <= 1 - WARMDOWN:
        return 1.0
    rest = (1 - progress) / WARMDOWN
    return rest + (1 - rest) * FINAL_LR


def momentum_at(progress: float) -> float:
    """Muon's momentum: short while the gradient still turns fast."""
    if progress >= MOMENTUM_WARMUP:
        return MOMENTUM
    return 0.85 + (MOMENTUM - 0.85) * progress / MOMENTUM_WARMUP


def main() -> None:
    """Train until the time is up, then hand over the model."""
    task = harness.start()
    model = build_model(task)
    task.flops_per_token = model.flops_per_token()
    optimizers = build_optimizers(model)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    peaks = [group["lr"] for group in groups]
    compiled = COMPILE and task.compiling_pays
    loss_of = torch.compile(model.loss, dynamic=False) if compiled else model.loss

    rows = max(1, TOTAL_BATCH_TOKENS // task.sequence_length)
    device_rows = min(rows, DEVICE_BATCH_ROWS)

    def accumulate() -> torch.Tensor:
        """Gradients of a whole batch, and its mean loss."""
        parts = math.ceil(rows / device_rows)
        total = torch.zeros((), device=task.device)
        for _ in range(parts):
            loss = loss_of(*task.next_batch(device_rows)) / parts
            loss.backward()
            total += loss.detach()
        return total

    def step() -> None:
        nonlocal device_rows
        total = None
        while total is None:
            try:
                total = accumulate()
            except RuntimeError as error:  # out of memory, or it is raised again
                device_rows = task.halved(device_rows, error)
                model.zero_grad(set_to_none=True)
        progress = task.progress
        factor = lr_factor(progress)
        for group, peak in zip(groups, peaks, strict=True):
            group["lr"] = peak * factor
        for group in optimizers[0].param_groups:
            group["momentum"] = momentum_at(progress)
            group["weight_decay"] = MATRIX_WEIGHT_DECAY * (1 - progress)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        grad_norm = nn.utils.get_total_norm(gradients, foreach=True)
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
        task.report(loss=total, lr_factor=factor, grad_norm=grad_norm)

    task.warm_up(step, model, optimizers, compiled=compiled)
    while not task.done:
        step()
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
