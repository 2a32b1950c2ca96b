"""What an experiment was about: its area of research, told by the words of its change.

Coarse on purpose: it is for counting what was tried, and for sending a proposer that goes in
circles elsewhere. The names of the changed constants say it best, then the title, then the
constants in the lines of the diff.
"""

import re
from functools import lru_cache

from cockpit.core.briefing import HistoryEntry

OTHER = "other"
_WORDS = {
    "schedule": (
        "schedule schedules warmup warmdown cooldown fall cosine trapezoid wsd final anneal"
    ),
    "step sizes": "lr lrs rate rates stepsize",
    "weight decay and regularisation": (
        "decay wd dropout regularization regularisation smoothing noise"
    ),
    "batch size": "batch batches accumulation accumulate",
    "optimizer": (
        "optimizer muon adam adamw lion soap shampoo momentum nesterov beta beta1 beta2 moment "
        "orthogonalize orthogonal polar newton schulz clip clipping ema average averaging "
        "gradient"
    ),
    "attention": (
        "attention window windows head heads qk query queries key keys kv gqa mqa rope rotary sink"
    ),
    "convolution": "convolution convolutions convolve conv taps lag shift",
    "embeddings": "embedding embeddings embed unembedding tied tying ve bigram ngram",
    "feed-forward": (
        "mlp ffn relu gelu silu swiglu glu geglu activation hidden expert experts moe"
    ),
    "initialisation": "init initial initialization initialisation",
    "output and loss": "softcap logit logits loss entropy label objective temperature output",
    "norms and residual stream": (
        "norm norms rmsnorm layernorm normalize residual residuals stream skip skips parallel unet"
    ),
    "size and shape": (
        "depth deeper layer layers width wider narrower aspect dim shape recurrent shared"
    ),
    "data order": "data order curriculum length sequence sampling shuffle epoch rows",
    "speed": "compile precision fp8 bf16 bfloat16 fuse fused kernel throughput chunk checkpointing",
}
AREAS = tuple(_WORDS)
"""All of them, the telling ones first: EMBEDDING_LR is about step sizes."""
_AREA_OF = {
    word: (number, area)
    for number, (area, words) in reversed(list(enumerate(_WORDS.items())))
    for word in words.split()
}
_WORD = re.compile(r"[a-z]+[0-9]*")
_CONSTANT = re.compile(r"^[-+]\s*([A-Z][A-Z0-9_]*)\s*(?::[^=]*)?=(?!=)")
_FILLING = frozenset("""
    a an and as at by every for from in instead into of on per the then to up use with
""".split())  # fmt: skip  # noqa: SIM905 words read better as a line


def areas_of(entry: HistoryEntry) -> tuple[str, ...]:
    """Return the areas of an experiment, the most telling first; never none."""
    found: tuple[str, ...] = ()
    if entry.constants:
        found = _areas(" ".join(entry.constants).lower().replace("_", " "))
    return found or _areas(_plain(entry.title)) or _areas(_constants(entry.diff)) or (OTHER,)


def words_of(entry: HistoryEntry) -> frozenset[str]:
    """Return the words that make out an idea: its constants' names, or its title's words."""
    if entry.constants:
        return frozenset(name.lower() for name in entry.constants)
    return frozenset(_WORD.findall(_plain(entry.title))) - _FILLING


def _plain(title: str) -> str:
    return title[:200].lower().replace("_", " ")


def _constants(diff: tuple[str, ...]) -> str:
    names = (found[1] for line in diff[:100] if (found := _CONSTANT.match(line)))
    return " ".join(names).lower().replace("_", " ")


@lru_cache(maxsize=8192)
def _areas(words: str) -> tuple[str, ...]:
    found = {_AREA_OF[word] for word in _WORD.findall(words) if word in _AREA_OF}
    return tuple(area for _, area in sorted(found))
