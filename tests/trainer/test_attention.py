"""Every backend of the attention sees the same window, forward and backward, as a dense one."""

import math

import attention
import pytest
import torch

LENGTHS_AND_WINDOWS = [
    (1, 1),
    (7, 3),
    (64, 64),
    (128, 1),
    (200, 128),
    (256, 127),
    (256, 129),
    (300, None),
    (385, 256),
    (640, 2000),
]
HEADS = [(4, 4), (4, 2), (3, 1)]


def dense(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int | None) -> torch.Tensor:
    """The definition, in float64: position i sees i-window+1 to i."""
    q, k, v = (x.double() for x in (q, k, v))
    k, v = (x.repeat_interleave(q.size(1) // x.size(1), dim=1) for x in (k, v))
    scores = q @ k.mT / math.sqrt(q.size(-1))
    i = torch.arange(q.size(2), device=q.device)[:, None]
    j = torch.arange(q.size(2), device=q.device)
    seen = (j <= i) & (j >= i - (window or q.size(2)) + 1)
    return scores.masked_fill(~seen, -math.inf).softmax(-1) @ v


def drawn(
    T: int, heads: tuple[int, int], device: str = "cpu", dtype: torch.dtype = torch.float32
) -> list[torch.Tensor]:
    """Queries, keys, values and the gradient of the output."""
    draw = torch.Generator().manual_seed(T)
    shapes = [(2, heads[0], T, 16), (2, heads[1], T, 16), (2, heads[1], T, 16)]
    tensors = [torch.randn(s, generator=draw).to(device, dtype) for s in [*shapes, shapes[0]]]
    return [tensor.requires_grad_(index < 3) for index, tensor in enumerate(tensors)]


def compare(function, tensors: list[torch.Tensor], window: int | None, tolerance: float) -> None:
    """Output and gradients of `function` against the definition's."""
    *inputs, gradient = tensors
    y = function(*inputs, window)
    assert y.shape == inputs[0].shape
    assert y.dtype == inputs[0].dtype
    got = [y, *torch.autograd.grad(y, inputs, gradient)]
    expected = dense(*inputs, window)
    wanted = [expected, *torch.autograd.grad(expected, inputs, gradient.double())]
    for found, reference in zip(got, wanted, strict=True):
        assert torch.allclose(found.double(), reference.double(), atol=tolerance)


def effective(window: int | None, T: int) -> int:
    return T if window is None else min(window, T)


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize(("T", "window"), LENGTHS_AND_WINDOWS)
@pytest.mark.parametrize("name", ["blocks", "sdpa"])
def test_a_backend_agrees_with_the_definition(
    name: str, T: int, window: int | None, heads: tuple[int, int]
) -> None:
    serve = attention.BACKENDS[name]
    compare(lambda q, k, v, w: serve(q, k, v, effective(w, T)), drawn(T, heads), window, 2e-5)


@pytest.mark.parametrize(("T", "window"), [(200, 128), (256, None), (1030, 70)])
def test_what_is_chosen_on_the_cpu_agrees_too(T: int, window: int | None) -> None:
    assert attention.prepare(torch.device("cpu")) == ["blocks", "sdpa"]
    assert attention.backend(drawn(T, (1, 1))[0], effective(window, T)) == (
        "blocks" if T <= attention.LONGEST_BLOCKS else "sdpa"
    )
    compare(attention.attend, drawn(T, (2, 1)), window, 2e-5)
    compare(attention.attend, drawn(T, (2, 1), dtype=torch.bfloat16), window, 0.1)


def test_compiled_it_is_the_same() -> None:
    compiled = torch.compile(attention.attend, backend="aot_eager", fullgraph=True, dynamic=False)
    compare(compiled, drawn(130, (4, 2)), 40, 2e-5)
    compare(compiled, drawn(1030, (4, 2)), 70, 2e-5)


@pytest.mark.parametrize(("T", "window"), [(1, 1), (300, 7), (384, 129), (300, 299)])
def test_flex_attention_sees_the_same_window(T: int, window: int) -> None:
    """Without a GPU only its forward pass runs, inside of torch.compile as on one."""
    compiled = torch.compile(attention.by_flex, backend="eager", fullgraph=True, dynamic=False)
    q, k, v, _ = (x.detach() for x in drawn(T, (4, 2)))
    y = compiled(q, k, v, window)
    assert torch.allclose(y.double(), dense(q, k, v, window), atol=2e-5)


def test_flex_attention_reads_no_block_outside_the_window() -> None:
    mask = attention.block_mask(1024, 256, torch.device("cpu"))
    read = mask.to_dense()[0, 0]  # [8, 8] blocks of 128
    expected = [[1 if 0 <= i - j <= 2 else 0 for j in range(8)] for i in range(8)]
    assert read.int().tolist() == expected
    whole = mask.full_kv_num_blocks[0, 0].tolist()
    assert whole == [0, 1, 1, 1, 1, 1, 1, 1]  # the block before: all of it is seen


def test_on_the_meta_device_it_has_the_shape_and_keeps_no_weights() -> None:
    q = torch.empty(2, 4, 2048, 64, device="meta", requires_grad=True)
    k = torch.empty(2, 2, 2048, 64, device="meta")
    kept: list[int] = []
    keep = torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()), lambda x: x)
    for window in (None, 100):
        with keep:
            assert attention.attend(q, k, k, window).shape == q.shape
    assert max(kept) < 2048 * 2048


@pytest.mark.parametrize(
    ("heads", "window", "keys"), [((4, 3), 8, 16), ((2, 2), 0, 16), ((2, 2), 8, 15)]
)
def test_what_does_not_fit_is_refused(heads: tuple[int, int], window: int, keys: int) -> None:
    q = torch.zeros(1, heads[0], 16, 8)
    k = torch.zeros(1, heads[1], keys, 8)
    with pytest.raises(ValueError, match=f"with a window of {window}"):
        attention.attend(q, k, k, window)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("heads", HEADS[:2])
@pytest.mark.parametrize(("T", "window"), [(300, 7), (512, 256), (512, None), (640, 129)])
@pytest.mark.parametrize("name", ["flash3", "flex", "sdpa"])
def test_on_a_gpu_every_backend_agrees(
    name: str, T: int, window: int | None, heads: tuple[int, int]
) -> None:
    if name not in attention.prepare(torch.device("cuda")):
        pytest.skip(f"{name} is not installed")
    serve = attention.BACKENDS[name]
    if name == "flex":
        serve = torch.compile(serve, fullgraph=True, dynamic=False)
    shapes = drawn(T, heads, "cuda", torch.bfloat16)
    wide = [torch.cat([x] * 4, dim=-1).detach().requires_grad_(x.requires_grad) for x in shapes]
    compare(lambda q, k, v, w: serve(q, k, v, effective(w, T)), wide, window, 0.1)
