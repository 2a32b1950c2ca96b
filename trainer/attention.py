"""Causal attention within a window, by the best kernel that is present; the same window on all.

A window of w tokens: position i sees the positions i-w+1 to i, itself included, so w = 1 sees
only itself and w >= T (or None) all that came before. Libraries count differently (FlashAttention
by tokens to the left, w-1 of ours), and being off by one between two machines is a difference
that nobody finds; so the translation is made here, once, and a test compares every backend with a
dense reference, forward and backward.

| backend | when | why |
|---|---|---|
| flash3 | Hopper with the package flash_attn_interface, 16 bits | the fastest, knows windows |
| flex | CUDA, a window, inside torch.compile | skips the blocks outside the window |
| blocks | CPU, up to 1,024 tokens | batched products beat the CPU's fused kernel by far |
| meta | the meta device | shapes alone, and what a fused kernel keeps for its backward pass |
| sdpa | else | flash or cuDNN kernels without a window; a mask for one with a window |

FlexAttention outside of torch.compile would be compiled by itself, for longer than an evaluation
takes, so there the mask serves. What is installed is looked up once, by `prepare`; before that,
sdpa serves.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch.nn.attention import SDPBackend, sdpa_kernel

BLOCK = 128
"""Queries computed at once on a CPU, and FlexAttention's block of queries and of keys."""
LONGEST_BLOCKS = 1024
"""Tokens beyond which a CPU keeps no attention weights for the backward pass: their memory grows
with the square."""
CUDNN_FIRST = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]
"""On Hopper cuDNN's kernels are 1.7 to 2.3 times as fast as FlashAttention 2, which torch prefers;
not so on other cards (measured in huggingface/transformers pull request 48163)."""

_flash3: Callable[..., torch.Tensor] | None = None
_has_flex = False
_prefers_cudnn = False


def prepare(device: torch.device) -> list[str]:
    """Look up what is installed for the device; the names of the backends that will serve.

    FlashAttention 3 has to be installed as a package: kernels that are fetched from a hub when a
    training starts are neither there without a network nor the same from one night to the next.
    """
    global _flash3, _has_flex, _prefers_cudnn
    capability = (0, 0)
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
    _flash3 = None
    if capability[0] == 9 and importlib.util.find_spec("flash_attn_interface") is not None:
        _flash3 = importlib.import_module("flash_attn_interface").flash_attn_func
    _has_flex = capability >= (8, 0) and importlib.util.find_spec("triton") is not None
    _prefers_cudnn = capability == (9, 0)
    names = {"flash3": _flash3 is not None, "flex": _has_flex, "blocks": device.type == "cpu"}
    return [*(name for name, there in names.items() if there), "sdpa"]


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int | None = None
) -> torch.Tensor:
    """Causal attention: q [B, H, T, D], k and v [B, H', T, D] -> [B, H, T, D].

    H is a multiple of H': query heads next to each other share a head of keys and values. Scores
    are scaled by 1/sqrt(D). Position i sees i-window+1 to i; with None all up to i. Works under
    torch.compile and on the meta device. Raises ValueError for shapes or windows that don't fit.
    """
    T = q.size(2)
    if window is None or window > T:
        window = T
    if window < 1 or k.size(2) != T or q.size(1) % k.size(1):
        raise ValueError(
            f"attention of q {tuple(q.shape)} over k {tuple(k.shape)} with a window of {window}"
        )
    return BACKENDS[backend(q, window)](q, k, v, window)


def backend(q: torch.Tensor, window: int) -> str:
    """The name of the backend that serves these queries."""
    if q.is_cuda:
        if _flash3 is not None and q.dtype in (torch.bfloat16, torch.float16):
            return "flash3"
        if window < q.size(2) and _has_flex and torch.compiler.is_compiling():
            return "flex"
    if q.device.type == "cpu" and q.size(2) <= LONGEST_BLOCKS:
        return "blocks"
    if q.is_meta:
        return "meta"
    return "sdpa"


def by_flash3(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int) -> torch.Tensor:
    """FlashAttention 3: [B, T, H, D], windows counted in tokens to the left of the query."""
    left = -1 if window == q.size(2) else window - 1
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    y = _flash3(q, k, v, causal=True, window_size=(left, 0 if left >= 0 else -1))
    return (y[0] if isinstance(y, tuple) else y).transpose(1, 2)  # older ones add the logsumexp


def by_flex(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int) -> torch.Tensor:
    """FlexAttention, to be called inside torch.compile: only blocks within the window are read."""
    from torch.nn.attention.flex_attention import flex_attention

    mask = block_mask(q.size(2), window, q.device)
    return flex_attention(q, k, v, block_mask=mask, enable_gqa=q.size(1) != k.size(1))


def block_mask(T: int, window: int, device: torch.device) -> object:
    """FlexAttention's description of the band: for each block of queries, which blocks of keys.

    Worked out from block numbers alone (a few hundred of them), so that it may be made inside a
    compiled graph at every step instead of being kept somewhere.
    """
    from torch.nn.attention.flex_attention import BlockMask

    def sees(b: object, h: object, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        return (j <= i) & (i - j < window)

    number = torch.arange(math.ceil(T / BLOCK), device=device)
    nearest = (number[:, None] - number) * BLOCK - (BLOCK - 1)  # tokens from key to query, at least
    farthest = nearest + 2 * (BLOCK - 1)  # and at most
    whole = (nearest >= 0) & (farthest < window)  # every query of the block sees every key
    part = (farthest >= 0) & (nearest < window) & ~whole
    counts = [blocks.sum(-1, dtype=torch.int32)[None, None] for blocks in (part, whole)]
    indices = [
        blocks.int().argsort(dim=-1, descending=True, stable=True).int()[None, None]
        for blocks in (part, whole)
    ]
    return BlockMask.from_kv_blocks(
        counts[0], indices[0], counts[1], indices[1], BLOCK, sees, seq_lengths=(T, T)
    )


def by_blocks(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int) -> torch.Tensor:
    """A block of queries at a time against the keys that any of them sees.

    In bf16, T 256 and 64 wide heads a third of the time of the CPU's fused kernel, whose backward
    pass is slow.
    """
    T, D = q.shape[2:]
    k, v = _for_all_heads(q, k, v)
    q = q * D**-0.5
    parts = []
    for start in range(0, T, BLOCK):
        end = min(T, start + BLOCK)
        first = max(0, start - window + 1)
        bias = _bias(start, end, first, window, q)  # [Q, K]
        weights = torch.softmax(q[:, :, start:end] @ k[:, :, first:end].mT + bias, dim=-1)
        parts.append(weights @ v[:, :, first:end])
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def by_sdpa(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int) -> torch.Tensor:
    """torch's own: a fused kernel without a window, an additive mask with one.

    The mask is made at each call. Kept ones would have to be told apart by device, type, and
    whether they are real, compiled or meta tensors, and making one is cheap beside using it.
    """
    T = q.size(2)
    k, v = _for_all_heads(q, k, v)
    if window < T:
        bias = _bias(0, T, 0, window, q)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    first = contextlib.nullcontext()
    if q.is_cuda and _prefers_cudnn:
        first = sdpa_kernel(CUDNN_FIRST, set_priority=True)
    with first:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def by_shape(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int) -> torch.Tensor:
    """On the meta device, where torch would go through all T x T scores: a fused kernel's shapes.

    So a step on the meta device needs the memory that it needs on a GPU (see memory.py).
    """
    k, v = _for_all_heads(q, k, v)
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, True)[0]


def _bias(start: int, end: int, first: int, window: int, q: torch.Tensor) -> torch.Tensor:
    """[end-start, end-first]: 0 where a query sees a key, else minus infinity."""
    i = torch.arange(start, end, device=q.device)[:, None]
    distance = i - torch.arange(first, end, device=q.device)
    outside = (distance < 0) | (distance >= window)
    return torch.zeros(distance.shape, dtype=q.dtype, device=q.device).masked_fill(
        outside, -math.inf
    )


def _for_all_heads(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values repeated for every query head."""
    times = q.size(1) // k.size(1)
    if times == 1:
        return k, v
    return k.repeat_interleave(times, dim=1), v.repeat_interleave(times, dim=1)


BACKENDS = {
    "flash3": by_flash3,
    "flex": by_flex,
    "blocks": by_blocks,
    "meta": by_shape,
    "sdpa": by_sdpa,
}
