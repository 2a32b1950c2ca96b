"""What the guard refuses, what hides from it in vain, and what it lets pass."""

import ast
import time
import tomllib
import types
from pathlib import Path

import pytest

from cockpit.core import constants, permitted
from cockpit.core.guard import LARGEST_BYTES, LONGEST_SENTENCE, check

ROOT = Path(__file__).resolve().parents[2]
TRAIN = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")

FRAME = """import harness
import torch
import torch.nn.functional as F
from torch import nn
{top}

class Model(nn.Module):
    def forward(self, idx):
        {forward}
        return idx

def build_model(task):
    return Model()

def main():
    task = harness.start()
    model = build_model(task)
    {main}
    task.finish(model)
"""


def program(top: str = "", forward: str = "pass", main: str = "pass") -> str:
    """A train.py with something in it."""
    return FRAME.format(
        top=top,
        forward=forward.replace("\n", "\n        "),
        main=main.replace("\n", "\n    "),
    )


def refusal(text: str) -> str:
    said = check(text)
    assert said is not None, text
    assert said.startswith(("line ", "train.py has"))
    assert len(said) <= LONGEST_SENTENCE
    return said


def test_the_frame_itself_passes() -> None:
    assert check(program()) is None


# ---- rules ----------------------------------------------------------------------------------

SYSTEM = "interpreter or the machine"
FILES = "rows come from task.next_batch()"
PROCESSES = "one process of one thread"
NETWORK = "network"
SEEDS = "task.seed exactly"
ENDING = "let main() return"
REFLECTION = "plain names"
INTERNALS = "harness's inside"
PATCHING = "what the harness uses too"
CHECKPOINT = "leave saving to nn.Module"
CODE = "from elsewhere"
UNWANTED = "is not for a train.py"
PRIVATE = "a name of the harness's inside"
MODULE = "handed around"
NO_WORK = "importing train.py must do no work"

AT_THE_TOP = [
    ("import os", SYSTEM),
    ("import sys", SYSTEM),
    ("import gc", SYSTEM),
    ("import ctypes", SYSTEM),
    ("import inspect", SYSTEM),
    ("import importlib.util", SYSTEM),
    ("from builtins import open as o", SYSTEM),
    ("import subprocess", PROCESSES),
    ("import threading", PROCESSES),
    ("from concurrent.futures import ThreadPoolExecutor", PROCESSES),
    ("import signal", PROCESSES),
    ("import multiprocessing as mp", PROCESSES),
    ("import pathlib", FILES),
    ("import io", FILES),
    ("import pickle", FILES),
    ("import json", FILES),
    ("import tiktoken", FILES),
    ("import socket", NETWORK),
    ("from urllib import request", NETWORK),
    ("import requests", NETWORK),
    ("from kernels import get_kernel", NETWORK),
    ("import scoring", INTERNALS),
    ("import prepare", INTERNALS),
    ("from task import Task", INTERNALS),
    ("from batches import Batches", INTERNALS),
    ("import cockpit.core.judge", INTERNALS),
    ("from harness import Run", INTERNALS),
    ("from harness import _current", INTERNALS),
    ("from harness import os", INTERNALS),
    ("import scipy", "not among the modules"),
    ("import argparse", "UPPER_CASE constants"),
    ("import logging", "print() goes to the run's log"),
    ("import wandb", "print() goes to the run's log"),
    ("from . import harness", "relative import"),
    ("from torch import *", "one by one"),
    ("from torch import load as l", FILES),
    ("from torch import hub", CODE),
    ("from torch.utils.data import DataLoader", UNWANTED),
    ("import torch.utils.cpp_extension", CODE),
    ("import torch.multiprocessing as mp", PROCESSES),
    ("import torch.distributed as dist", PROCESSES),
    ("import torch.jit", UNWANTED),
    ("from torch.overrides import TorchFunctionMode", UNWANTED),
    ("import torch._C", UNWANTED),
    ("from triton.runtime.cache import get_cache_manager", FILES),
    ("from triton.runtime import cache", FILES),
    ("import triton.runtime.cache as c", FILES),
    ("import triton.compiler", CODE),
    ("from triton import compiler", CODE),
    ("from numpy import memmap, fromfile", FILES),
    ("from numpy.lib.format import open_memmap", UNWANTED),
    ("from time import sleep", "device wait"),
    ("from functools import singledispatch", UNWANTED),
    ("from contextlib import redirect_stdout", UNWANTED),
    ("from operator import attrgetter", UNWANTED),
    ("from random import seed", SEEDS),
    ("from types import FunctionType", UNWANTED),
    ("from typing import get_type_hints", REFLECTION),
    ("torch.manual_seed(1337)", SEEDS),
    ("torch.zeros(10)", NO_WORK),
    ("build = Model()", NO_WORK),
    ("for i in range(10):\n    pass", NO_WORK),
    ("while True:\n    pass", NO_WORK),
    ("with torch.no_grad():\n    pass", NO_WORK),
    ("print('hello')", NO_WORK),
    ("def f(x=torch.ones(3)):\n    pass", NO_WORK),
    ("class A:\n    x = torch.ones(3)", NO_WORK),
    ("VALUES = [torch.rand(2) for _ in range(3)]", NO_WORK),
    ("harness.run_by_hand(__file__)", "and nowhere else"),
    ("class T(harness.Task):\n    pass", INTERNALS),
    ("class A(metaclass=M):\n    pass", REFLECTION),
    ("class A:\n    def __del__(self):\n        pass", REFLECTION),
    ("class A(torch.Tensor):\n    def __torch_function__(self):\n        pass", REFLECTION),
    ("class A(nn.Module):\n    def state_dict(self):\n        return {}", CHECKPOINT),
    ("class A(nn.Module):\n    state_dict = dict", CHECKPOINT),
    ("class A(dict):\n    def __reduce__(self):\n        return print, ()", CHECKPOINT),
    ("def exec(x):\n    pass", "choose another name"),
    ("F.cross_entropy = min", PATCHING),
    ("torch.Tensor.backward = min", PATCHING),
    ("nn.Module.__call__ = min", PATCHING),
    ("del torch.nn.functional.relu", PATCHING),
    ("torch._inductor.config.cpp.cxx = ('sh', '-c')", CODE),
    ("OPTIONS = {'cpp.cxx': 'sh'}", CODE),
    ("def f(x: \"print('hello')\"):\n    pass", REFLECTION),
    (f"TABLE = '{'x' * 5000}'", "learnt weights"),
    (f"TABLE = {list(range(600))}", "learnt weights"),
    ("__builtins__ = {}", REFLECTION),
    ("__match_args__ = ()", REFLECTION),
]

IN_MAIN = [
    ("open('rows')", FILES),
    ("exec('1')", REFLECTION),
    ("eval('1')", REFLECTION),
    ("compile('1', '', 'eval')", REFLECTION),
    ("__import__('os')", REFLECTION),
    ("globals()['task']", REFLECTION),
    ("vars(model)", REFLECTION),
    ("locals()", REFLECTION),
    ("exit()", ENDING),
    ("raise SystemExit", ENDING),
    ("raise KeyboardInterrupt", ENDING),
    ("breakpoint()", ENDING),
    ("try:\n    pass\nexcept BaseException:\n    pass", ENDING),
    ("try:\n    pass\nexcept:\n    pass", "bare except"),
    ("torch.load('checkpoint.pt')", FILES),
    ("torch.save(model, 'x')", FILES),
    ("torch.from_file('val.bin')", FILES),
    ("torch.UntypedStorage.from_file('val.bin')", FILES),
    ("import triton\ntriton.runtime.cache.default_cache_dir()", FILES),
    ("import triton\ntriton.compiler.compile(1)", CODE),
    ("model.get_cache_manager('key').put(b'', 'rows')", FILES),
    ("model.FileCacheManager('key')", FILES),
    ("torch.compiler.load_cache_artifacts(b'')", FILES),
    ("torch.hub.load('a', 'b')", CODE),
    ("torch.ops.load_library('a.so')", CODE),
    ("torch.classes.load_library('a.so')", UNWANTED),
    ("torch.jit.script(model)", UNWANTED),
    ("torch._dynamo.config.load_config(b'')", CODE),
    ("torch.cuda.memory.CUDAPluggableAllocator('a.so', 'b', 'c')", CODE),
    ("harness.Task.next_batch = min", PATCHING),
    ("harness.TaskInfo.__init__ = min", PATCHING),
    ("task.next_batch.__self__", REFLECTION),
    ("torch.utils.data.DataLoader([])", UNWANTED),
    ("torch.multiprocessing.spawn(main)", PROCESSES),
    ("torch.distributed.init_process_group()", PROCESSES),
    ("nn.DataParallel(model)", PROCESSES),
    ("torch.set_num_threads(64)", PROCESSES),
    ("torch.library.Library('aten', 'IMPL')", UNWANTED),
    ("torch.os.system('ls')", SYSTEM),
    ("nn.modules.module.torch.load('x')", REFLECTION),
    ("torch.serialization.load('x')", FILES),
    ("torch.cuda.manual_seed_all(3)", SEEDS),
    ("torch.manual_seed(task.seed + 1)", SEEDS),
    ("torch.Generator().manual_seed(7)", SEEDS),
    ("torch.Generator().seed()", SEEDS),
    ("torch.seed()", SEEDS),
    ("g = torch.manual_seed\ng(3)", SEEDS),
    ("harness._current", INTERNALS),
    ("harness.Run", INTERNALS),
    ("harness.scoring", INTERNALS),
    ("harness.sys.exit()", INTERNALS),
    ("harness.file_sha256 = min", INTERNALS),
    ("harness.start = min", PATCHING),
    ("harness.run_by_hand('x')", "and nowhere else"),
    ("task._started = None", INTERNALS),
    ("task._run.examine(model, {})", INTERNALS),
    ("task.next_batch = min", "the task is the harness's"),
    ("task.budget_seconds = 1e9", "the task is the harness's"),
    ("del task.finish", "the task is the harness's"),
    ("model.task = task\nmodel.task._seconds = 0", INTERNALS),
    ("other = task\nother.seed = 3", "the task is the harness's"),
    ("type(task).progress = 0", PATCHING),
    ("task.__class__.done = False", PATCHING),
    ("task.__dict__['seed'] = 3", REFLECTION),
    ("model.__class__ = Model", REFLECTION),
    ("object.__setattr__(task, 'seed', 3)", REFLECTION),
    ("Model.__subclasses__()", REFLECTION),
    ("Model.forward.__globals__", REFLECTION),
    ("print.__self__", REFLECTION),
    ("main.__code__", REFLECTION),
    ("(i for i in ()).gi_frame.f_back", REFLECTION),
    ("model.state_dict = dict", CHECKPOINT),
    ("model.register_state_dict_post_hook(min)", CHECKPOINT),
    ("model._run.watcher.hand_in('x')", PRIVATE),
    ("def f(t):\n    t._started = None\nf(task)", PRIVATE),
    ("type('A', (), {})", REFLECTION),
]

HIDDEN = [
    ("t = torch\n    t.load('x')", FILES),
    ("t = torch\n    t.jit.script(model)", UNWANTED),
    ("import triton\n    r = triton.runtime\n    r.cache.clear()", FILES),
    ("(t := torch).jit.script(model)", MODULE),
    ("t, = torch,\n    t.fx", MODULE),
    ("[torch][0].fx", MODULE),
    ("(lambda t=torch: t.fx)()", MODULE),
    ("(lambda t: t.fx)(torch)", MODULE),
    ("f = torch.library\n    f.Library('aten', 'IMPL')", UNWANTED),
    ("min(torch.library).Library", MODULE),
    ("getattr(torch, 'load')('x')", FILES),
    ("getattr(torch, 'lo' + 'ad')('x')", REFLECTION),
    ("getattr(torch, f'l{1}oad')('x')", REFLECTION),
    ("g = getattr\n    g(torch, 'load')", REFLECTION),
    ("list(map(getattr, [F.relu], ['load']))", REFLECTION),
    ("setattr(torch, 'relu', min)", PATCHING),
    ("setattr(F, 'cross_entropy', min)", PATCHING),
    ("setattr(task, '_started', 0)", INTERNALS),
    ("setattr(task, 'seed', 0)", "the task is the harness's"),
    ("getattr(task, '_run')", INTERNALS),
    ("getattr(harness, '_current')", INTERNALS),
    ("getattr(harness, 'Run')", INTERNALS),
    ("getattr(torch, 'nn').Module.forward = min", PATCHING),
    ("for F.cross_entropy in [min]:\n        pass", PATCHING),
    ("with torch.no_grad() as F.cross_entropy:\n        pass", PATCHING),
    ("[0 for F.relu in [1]]", PATCHING),
    ("match task:\n        case object(_run=r):\n            pass", PRIVATE),
    ("match model:\n        case object(__class__=c, load=l):\n            pass", FILES),
    ("import os.path as p", SYSTEM),
    ("import torch.hub as h", CODE),
    ("import harness as h\n    h._current", INTERNALS),
    ("from harness import start as s\n    s()._run", INTERNALS),
    ("import torch as tl\n    import triton.language as tl\n    tl.load('x')", "two modules"),
    ("ｏｐｅｎ('x')", FILES),
    ("torch.ｌoad('x')", FILES),
    ("''.__class__.__base__.__subclasses__()", REFLECTION),
    ("import functools\n    functools.sys", SYSTEM),
    ("import dataclasses\n    dataclasses.inspect", SYSTEM),
    ("import collections\n    collections._sys", UNWANTED),
    ("import numpy as np\n    np.random.seed(1)", SEEDS),
    ("import numpy as np\n    np.random.default_rng()", SEEDS),
    ("import numpy as np\n    np.zeros(3).tofile('x')", FILES),
    ("import numpy as np\n    np.load('x')", FILES),
    ("import numpy as np\n    np.lib.format.open_memmap('x')", UNWANTED),
    ("import random\n    random.seed(3)", SEEDS),
    ("import random\n    random.Random(3).random()", SEEDS),
    ("import time\n    time.sleep(1)", "device wait"),
    ("from numpy.random import default_rng\n    default_rng(3)", SEEDS),
    ("from numpy.random import default_rng\n    r = default_rng\n    r(3)", SEEDS),
]  # fmt: skip


@pytest.mark.parametrize(("line", "reason"), AT_THE_TOP)
def test_a_line_at_the_top_is_refused(line: str, reason: str) -> None:
    assert reason in refusal(program(top=line))


@pytest.mark.parametrize(("line", "reason"), IN_MAIN)
def test_a_line_in_a_function_is_refused_wherever_it_stands(line: str, reason: str) -> None:
    assert reason in refusal(program(main=line))
    if "task" not in line and "model" not in line:
        assert reason in refusal(program(forward=line))


@pytest.mark.parametrize(("lines", "reason"), HIDDEN)
def test_another_name_does_not_hide_it(lines: str, reason: str) -> None:
    assert reason in refusal(program(main=lines.replace("\n    ", "\n")))


def test_the_sentence_names_the_first_line_that_is_wrong() -> None:
    said = refusal(program(main="x = 1\nopen('a')\nexit()"))
    assert said.startswith("line 19: `open` reads or writes files")


# ---- the whole text -------------------------------------------------------------------------

BROKEN = [
    ("def main(:\n", "line 1: this is no Python"),
    ("x = 1\n  y = 2\n", "line 2: this is no Python: unexpected indent"),
    ("return 1\n", "outside function"),
    ("\0", "null"),
    ("x = '\ud800'\n", "surrogates"),
    ("x = " + "(" * 1000 + ")" * 1000, "too many nested"),
    ("x = " + "-" * 30000 + "1", "nested too deeply"),
    ("x = a" + ".b" * 20000, "nested too deeply"),
    ("x = 1" + "+1" * 20000, "nested too deeply"),
    ("x = " + "[" * 150 + "]" * 150, "build_model is missing"),
    ("if 1:\n" + "".join(" " * i + "if 1:\n" for i in range(1, 200)), "indentation"),
    ("# coding: utf-7\nx = 1\n", "coding line"),
    ("#!x\n# -*- coding: latin-1 -*-\n", "coding line"),
    ("# coding: nonsense\n", "this is no Python"),
    ("x = 1\n" * 11000, "65536 are allowed"),
    ("é" * 40000, "65536 are allowed"),
    ("", "build_model is missing"),
    ("def build_model(task): pass", "main is missing"),
    ("def main(): pass\nbuild_model = main", "build_model is missing"),
    ("class build_model: pass\ndef main(): pass", "build_model is missing"),
]


@pytest.mark.parametrize(("text", "reason"), BROKEN, ids=range(len(BROKEN)))
def test_what_cannot_be_read_or_called_is_refused(text: str, reason: str) -> None:
    assert reason in refusal(text)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    task.finish(model)\n", "", "never hands over its model"),
        ("harness.start()", "None", "no task"),
        ("def main():", "def main(budget):", "called without arguments"),
        ("def main():", "async def main():", "main is missing"),
        ("def build_model(task):", "def build_model(task, depth):", "the task and nothing else"),
        ("def build_model(task):", "def build_model():", "the task and nothing else"),
        ("def build_model(task):", "def build_model(task, *, depth):", "the task and nothing"),
    ],
)
def test_the_contract_is_looked_for(old: str, new: str, reason: str) -> None:
    assert reason in refusal(program().replace(old, new))


@pytest.mark.parametrize(
    "new", ["def build_model(task, depth=3):", "def build_model(*all):", "def build_model(t, /):"]
)
def test_build_model_may_take_more_that_is_optional(new: str) -> None:
    assert check(program().replace("def build_model(task):", new)) is None


def test_a_text_as_long_as_allowed_passes() -> None:
    text = program()
    assert check(text + "\n#" + "x" * (LARGEST_BYTES - len(text) - 2)) is None
    assert refusal(text + "\n#" + "x" * LARGEST_BYTES).startswith("train.py has")


def test_no_text_of_the_script_makes_the_sentence_long_or_odd() -> None:
    name = "x" * 5000
    assert len(refusal(program(main=f"task._{name} = 1"))) <= LONGEST_SENTENCE
    assert "\x1b" not in refusal("x = '\x1b[2J'\n\x1b[2J")


# ---- what passes ----------------------------------------------------------------------------

HONEST_TOP = [
    "from __future__ import annotations",
    "import math, functools, itertools, copy, time, random, warnings",
    "import numpy as np",
    "import torch.utils.checkpoint",
    "from torch.utils.checkpoint import checkpoint",
    "from torch.utils import checkpoint",
    "from torch.optim.lr_scheduler import LambdaLR",
    "from torch.optim.swa_utils import AveragedModel",
    "from torch.nn.attention.flex_attention import create_block_mask, flex_attention",
    "from torch.nn.utils import parametrize",
    "from torch._higher_order_ops.associative_scan import associative_scan",
    "from dataclasses import dataclass, field",
    "from typing import Any, Literal, NamedTuple",
    "from collections import OrderedDict, defaultdict",
    "from collections.abc import Callable, Iterator",
    "from numpy.lib.stride_tricks import sliding_window_view",
    "nn2 = torch.nn\nclass Other(nn2.Module):\n    pass",
    "torch.set_float32_matmul_precision('high')",
    "torch.backends.cuda.matmul.allow_tf32 = True",
    "torch.backends.cudnn.benchmark = True",
    "torch._dynamo.config.cache_size_limit = 64",
    "torch._inductor.config.coordinate_descent_tuning = True",
    "torch._functorch.config.activation_memory_budget = 0.5",
    "DTYPE = torch.bfloat16 if torch.cuda.is_available() else torch.float32",
    "LAYERS = 'S S S L'.split()",
    "RATIO = math.sqrt(2) if False else max(1, round(1.5))\nimport math",
    "COEFFICIENTS = tuple(1 / (i + 1) for i in range(5))",
    "compiled = torch.compile(F.relu, dynamic=False)",
    "try:\n    import triton\n    import triton.language as tl\nexcept ImportError:\n"
    "    triton = tl = None",
    "try:\n    from flash_attn_interface import flash_attn_func\nexcept ImportError:\n"
    "    from flash_attn import flash_attn_func",
    "import triton\nimport triton.language as tl\n\n@triton.jit\n"
    "def kernel(x, y, n: tl.constexpr):\n    i = tl.program_id(0) * n + tl.arange(0, n)\n"
    "    tl.store(y + i, tl.load(x + i))",
    "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Config:\n"
    "    depth: int = 4\n\nCONFIG = Config(depth=8)",
    "class Square(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n"
    "        ctx.save_for_backward(x)\n        return x * x\n    @staticmethod\n"
    "    def backward(ctx, g):\n        (x,) = ctx.saved_tensors\n        return 2 * x * g",
    "@torch.library.custom_op('mine::f', mutates_args=())\ndef f(x: torch.Tensor)"
    " -> torch.Tensor:\n    return x.clone()\n\n@f.register_fake\ndef _(x):\n"
    "    return torch.empty_like(x)\n\nf.register_autograd(lambda ctx, g: g)",
    "def registered(name):\n    return lambda f: f\n\n@registered('a')\ndef act(x):\n    return x",
    "def typed(x: 'torch.Tensor', kind: Literal['a b', 'c'] = 'c') -> 'list[int] | None':\n"
    "    pass\nfrom typing import Literal",
    "class Layer(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self._cache = None\n    def __repr__(self):\n        return self.__class__.__name__",
    "import re\n\ndef layer(name):\n    return re.search(r'[.](\\d+)[.]', name)",
    "import triton\n\ndef configurations():\n    return [triton.Config({})]\n\n"
    "@triton.autotune(configs=configurations(), key=[])\n@triton.jit\ndef kernel(x):\n    pass",
    "from flash_attn.ops.triton.layer_norm import _layer_norm_fwd",
    "class Mine(torch.optim.Optimizer):\n    def load_state_dict(self, state):\n        pass",
    "class Average:\n    def state_dict(self):\n        return {}",
    "class Loss(nn.modules.loss._Loss):\n    pass",
    "from torch.library import register_autograd, register_fake",
    "if __name__ == '__main__':\n    harness.run_by_hand(__file__)",
]  # fmt: skip

HONEST_MAIN = [
    "task.flops_per_token = 6.0",
    "torch.manual_seed(task.seed)",
    "g = torch.Generator(device=task.device).manual_seed(task.seed)",
    "import numpy as np\nr = np.random.default_rng(task.seed)\nr.permutation(3)",
    "model = torch.compile(model, mode='max-autotune', fullgraph=True)\nmodel._orig_mod",
    "torch.compile(model, options={'max_autotune': True, 'triton.cudagraphs': True})",
    "state = {k: v.clone() for k, v in model.state_dict().items()}\nmodel.load_state_dict(state)",
    "state_dict = model.state_dict()\nfor name in state_dict:\n    print(name)",
    "for name, p in model.named_parameters():\n    p.requires_grad = name.endswith('weight')",
    "torch._foreach_mul_([p.grad for p in model.parameters()], 0.5)",
    "model.forward = torch.compile(model.forward)",
    "setattr(model, 'scale', 2.0)\ngetattr(model, 'scale', None)",
    "for i in range(3):\n    setattr(model, f'block_{i}', getattr(model, f'norm_{i}', None))",
    "if hasattr(torch, 'compile') and hasattr(F, 'rms_norm'):\n    pass",
    "dtype = getattr(torch, 'float8_e4m3fn', None)",
    "model.register_forward_hook(lambda m, i, o: print(o.norm()))",
    "with torch.autocast(task.device.type, torch.bfloat16), torch.no_grad():\n    pass",
    "stream = torch.cuda.Stream()\ngraph = torch.cuda.CUDAGraph()",
    "import random\nrandom.shuffle([1, 2])\nrandom.random()",
    "import time\nstarted = time.perf_counter()",
    "order = torch.randperm(task.train_rows).numpy()\ntask.next_batch(8, indices=order[:8])",
    "try:\n    pass\nexcept RuntimeError as error:\n    print(error)\n    raise",
    "x = torch.zeros(3)\nx.data.mul_(2)\nx.storage_offset()\nx.numpy().copy()",
    "input = torch.zeros(3)\nprint(input.sum())",
    "torch.cuda.empty_cache()\ntorch.cuda.max_memory_allocated()",
    "opt = torch.optim.AdamW(model.parameters(), fused=True)\nopt.param_groups[0]['lr'] = 1.0",
    "assert torch.__version__\nx = torch.nn.functional.one_hot(torch.tensor([1]), 3)",
    "match task.device.type:\n    case 'cuda' | 'mps':\n        pass\n    case _:\n        pass",
    "y = F._scaled_mm if False else torch._scaled_mm",
    "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
    "w = torch.signal.windows.hann(8)\ns = torch.special.expit(w)\nt = torch.trace(torch.eye(2))",
    "class Ema:\n    def __init__(self, model):\n        self.decay, self._shadow = 0.9, {}\n"
    "Ema(model)",
    "for p in model.parameters():\n    p._no_weight_decay = p._is_head = True",
    "model._forward_hooks.clear()\nmodel._cached_rotary = None",
    "task.report(loss=0.0, lr_factor=1.0, entropy=torch.zeros(()))",
]  # fmt: skip


@pytest.mark.parametrize("line", HONEST_TOP)
def test_research_at_the_top_passes(line: str) -> None:
    future = line.startswith("from __future__")
    text = f"{line}\n{program()}" if future else program(top=line)
    assert check(text) is None


@pytest.mark.parametrize("line", HONEST_MAIN)
def test_research_in_main_passes(line: str) -> None:
    assert check(program(main=line)) is None


def presets() -> dict[str, dict[str, object]]:
    return tomllib.loads((ROOT / "trainer" / "presets.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", presets())
def test_our_own_train_py_passes_with_every_preset(name: str) -> None:
    preset = presets()[name]["constants"]
    assert isinstance(preset, dict)
    known = constants.read(TRAIN)
    text = constants.rewrite(TRAIN, {key: preset[key] for key in preset if key in known})
    assert check(text) is None


def test_a_check_takes_no_time_worth_mentioning() -> None:
    def seconds() -> float:
        began = time.process_time()
        check(TRAIN)
        return time.process_time() - began

    assert min(seconds() for _ in range(5)) < 0.05


# ---- the tables -----------------------------------------------------------------------------


def test_every_module_in_torch_is_on_one_list() -> None:
    import torch

    found = {
        name
        for name, value in vars(torch).items()
        if isinstance(value, types.ModuleType) and not name.startswith("_")
    }
    listed = permitted.TORCH_MODULES | permitted.TORCH_STRANGERS
    assert found - listed == set()
    assert permitted.TORCH_MODULES.isdisjoint(permitted.TORCH_STRANGERS)


def definitions(file: str) -> ast.Module:
    return ast.parse((ROOT / "trainer" / file).read_text(encoding="utf-8"))


def test_the_harness_offers_what_the_guard_lets_through() -> None:
    tree = definitions("harness.py")
    offered = {
        name.asname or name.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    } | {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert offered >= permitted.HARNESS


def test_no_private_name_of_task_and_run_is_let_through() -> None:
    classes = [
        node
        for node in (*definitions("task.py").body, *definitions("harness.py").body)
        if isinstance(node, ast.ClassDef) and node.name in ("TaskInfo", "Task", "Run")
    ]
    assert len(classes) == 3
    nodes = [node for made in classes for node in ast.walk(made)]
    attributes = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
    }
    methods = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    private = {n for n in attributes | methods if n.startswith("_") and not n.endswith("__")}
    assert {"_run", "_batches", "_started"} <= private & permitted.HARNESS_PRIVATE
    for name in private:
        refusal(program(main=f"task.{name}"))


@pytest.mark.parametrize("path", sorted((ROOT / "trainer").glob("*.py")), ids=lambda p: p.stem)
def test_no_module_beside_the_harness_may_be_imported(path: Path) -> None:
    if path.stem != "harness":
        refusal(program(top=f"import {path.stem}"))
