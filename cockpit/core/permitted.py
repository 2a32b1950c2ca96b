"""What a train.py may import and name: the tables of the guard.

Modules are on an allow-list. Of a module that is small or close to the score, the members are on
one too; of the large ones (torch, numpy, triton) a member may be anything that is not refused. A
refused name is refused on every object, since torch alone has dozens of ways to the same module.
"""

import re
from collections.abc import Mapping

from cockpit.core.reasons import (
    CHECKPOINT,
    COMMAND_LINE,
    ENDING,
    FILES,
    FOREIGN_CODE,
    IDLE,
    INTERNALS,
    NETWORK,
    OUTPUT,
    PROCESSES,
    REFLECTION,
    SEEDS,
    SYSTEM,
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _any(text: str) -> dict[str, frozenset[str] | None]:
    return dict.fromkeys(text.split())


def _all(reason: str, text: str) -> dict[str, str]:
    return dict.fromkeys(text.split(), reason)


# ---- modules --------------------------------------------------------------------------------

HARNESS = _names("start attention Task TaskInfo HarnessError run_by_hand")
"""The contract of harness.py."""

HARNESS_PRIVATE = _names("""
    _after _batches _course _last_written _mfu _most_rows _named _peak_flops _record _run _seconds
    _start_clock _started _steps _tenths _tokens _unwritten _waiting _warm_up_seconds
    _warming _write_step
""")
"""Private names of its task and its run, refused also where it is not told that it is the task."""

TASK_SETTABLE = _names("flops_per_token")
"""What train.py may set on its task."""

THIRD_PARTY = _names("""
    causal_conv1d cut_cross_entropy einops fla flash_attn flash_attn_3 flash_attn_interface
    liger_kernel mamba_ssm natten torchao xformers
""")
"""Kernels and layers, used where they are installed."""

MODULES: Mapping[str, frozenset[str] | None] = {
    "harness": HARNESS,
    **_any("torch triton numpy"),
    **dict.fromkeys(THIRD_PARTY),
    **_any("__future__ bisect cmath collections enum fractions heapq itertools math numbers"),
    **_any("statistics typing typing_extensions"),
    "abc": _names("ABC abstractmethod"),
    "contextlib": _names("""
        AbstractContextManager ContextDecorator ExitStack contextmanager nullcontext suppress
    """),
    "copy": _names("copy deepcopy"),
    "dataclasses": _names("""
        InitVar KW_ONLY asdict astuple dataclass field fields is_dataclass replace
    """),
    "functools": _names("""
        cache cached_property cmp_to_key lru_cache partial partialmethod reduce total_ordering
        wraps
    """),
    "operator": _names("""
        add sub mul truediv floordiv mod pow neg pos abs matmul and_ or_ xor invert lt le eq ne
        ge gt itemgetter not_ is_ is_not
    """),
    "re": _names("compile escape findall finditer fullmatch match search split sub"),
    "random": _names("""
        betavariate choice choices expovariate gauss getstate normalvariate randint random
        randrange sample shuffle triangular uniform
    """),
    "time": _names("""
        monotonic monotonic_ns perf_counter perf_counter_ns process_time time time_ns
    """),
    "types": _names("SimpleNamespace"),
    "warnings": _names("catch_warnings filterwarnings simplefilter warn"),
}
"""Top-level modules and their members; None: any that is not refused further down."""

MODULE_REASONS: Mapping[str, str] = {
    **_all(SYSTEM, """
        ast atexit builtins cffi code codecs copyreg ctypes faulthandler gc grp importlib inspect
        linecache locale marshal os pdb pkgutil platform posix psutil pwd pynvml resource runpy
        site sys sysconfig syslog termios traceback tracemalloc
    """),
    **_all(PROCESSES, """
        _thread asyncio concurrent multiprocessing queue sched selectors signal subprocess
        threading
    """),
    **_all(FILES, """
        bz2 cloudpickle csv datasets dbm dill fileinput glob gzip h5py io joblib json lzma
        mmap pandas pathlib pickle pyarrow safetensors shelve shutil sqlite3 tarfile tempfile
        tiktoken tokenizers tomllib yaml zipfile zlib
    """),
    **_all(NETWORK, """
        aiohttp ftplib http httpx huggingface_hub kernels litellm openai requests smtplib socket
        socketserver ssl transformers urllib urllib3 xmlrpc
    """),
    **_all(OUTPUT, "logging rich tensorboard tqdm wandb"),
    **_all(COMMAND_LINE, "absl argparse click fire getopt hydra omegaconf optparse typer"),
    **_all(INTERNALS, """
        answering attention batches by_hand cache cockpit device documents downloading dynamics
        faults hub memory metrics packing preflight prepare scoring serving sources splitting
        task tokenizing train
    """),
}  # fmt: skip
"""Why a module that is not on the list is not, where more can be said than that."""

TORCH_MODULES = _names("""
    accelerator amp autograd backends compiler cpu cuda distributions fft func functional library
    linalg masked mps nested nn ops optim random return_types signal sparse special types utils
    version xpu
""")
"""Modules in torch that may be used."""

TORCH_STRANGERS = _names("""
    ao builtins classes contrib cpp ctypes distributed export functools futures fx glob hub
    importlib inspect jit math monitor mtia multiprocessing numa onnx os overrides package
    platform profiler quantization quasirandom serialization storage sys testing textwrap
    threading torch torch_version warnings windows
""")
"""Those that may not. (A test finds every module in the torch installed on one of the two.)"""

MEMBERS: Mapping[str, frozenset[str]] = {
    "numpy.lib": _names("stride_tricks"),
    "torch.utils": _names("checkpoint flop_counter _pytree"),
    "torch.library": _names("""
        custom_op register_autograd register_fake triton_op wrap_triton
    """),
    "torch.backends": _names("""
        cpu cuda cudnn flags fp32_precision mha mkl mkldnn mps openmp opt_einsum
    """),
    "torch._dynamo": _names("""
        allow_in_graph config disable graph_break mark_dynamic mark_static mark_static_address
        maybe_mark_dynamic reset
    """),
    "torch._inductor": _names("config"),
    "torch._functorch": _names("config"),
    "torch._higher_order_ops": _names("associative_scan cond flex_attention scan while_loop"),
    "torch.random": _names("fork_rng get_rng_state initial_seed manual_seed set_rng_state"),
}
"""Members of those modules below the top of which only a few are wanted."""

KNOWN_MODULES = frozenset({
    *MODULES, *MEMBERS, *(f"torch.{name}" for name in TORCH_MODULES),
    "numpy.linalg", "numpy.random", "torch.backends.cuda", "torch.backends.cudnn",
    "torch.cuda.amp", "torch.nn.attention", "torch.nn.attention.flex_attention",
    "torch.nn.functional", "torch.nn.init", "torch.nn.utils", "torch.optim.lr_scheduler",
    "torch.utils.checkpoint", "triton.knobs", "triton.language", "triton.runtime",
})  # fmt: skip
"""What is a module when it is imported from another one: `from torch import nn`."""

CONFIGURATIONS = (
    "torch.backends.",
    "torch._dynamo.config.",
    "torch._inductor.config.",
    "torch._functorch.config.",
)
"""Beginnings of the full names of settings, which are made to be assigned to."""

TOOL_SETTING = re.compile(
    r"(^|[._])(cxx|nvcc|cmd|command|binary|root|url|prefix|include|dir|path)($|[._])"
)
"""Settings that name a program or a place; those of a training are given."""

# ---- names ----------------------------------------------------------------------------------

BUILTINS: Mapping[str, str] = {
    "open": FILES,
    **_all(REFLECTION, """
        __builtins__ __import__ __loader__ __spec__ compile delattr eval exec globals locals vars
    """),
    **_all(ENDING, """
        breakpoint exit help quit BaseException BaseExceptionGroup GeneratorExit KeyboardInterrupt
        SystemExit
    """),
}  # fmt: skip
"""Builtin names that are refused, also where they name something else."""

ATTRIBUTES: Mapping[str, str] = {
    **_all(SYSTEM, """
        atexit builtins codecs copyreg ctypes environ faulthandler gc importlib inspect linecache
        marshal os pdb posix runpy sys sysconfig traceback tracemalloc
    """),
    **_all(PROCESSES, """
        asyncio distributed multiprocessing parallel_apply set_num_interop_threads set_num_threads
        subprocess threading DataParallel DistributedDataParallel
    """),
    **_all(IDLE, "sleep"),
    **_all(FILES, """
        dump dumps export_chrome_trace export_memory_timeline export_stacks from_file
        from_filename fromfile fromregex genfromtxt glob io load load_file loadtxt memmap mmap
        npyio open open_memmap pathlib pickle save save_file savetxt savez savez_compressed
        serialization shutil tarfile tempfile tofile write_bytes write_text zipfile
        default_cache_dir default_dump_dir default_override_dir get_cache_manager get_dump_manager
        get_override_manager load_cache_artifacts save_cache_artifacts
        CacheManager DataLoader DataSource FileCacheManager FileStore RedisRemoteCacheBackend
        RemoteCacheBackend RemoteCacheManager UntypedStorage
    """),
    **_all(NETWORK, "http requests socket ssl urllib"),
    **_all(FOREIGN_CODE, """
        compile_module_from_file compile_module_from_src cpp_extension ctypeslib f2py get_kernel
        hub lib load_config load_inline load_library load_state_dict_from_url loads save_config
        CompilationUnit CppExtension CUDAExtension CUDAPluggableAllocator
    """),
    **_all(SEEDS, "seed_all set_state setstate"),
    **_all(ENDING, "abort exit kill _exit"),
    **_all(REFLECTION, """
        ag_code ag_frame co_code cr_code cr_frame f_back f_builtins f_code f_globals f_locals
        func_globals get_annotations get_type_hints gi_code gi_frame tb_frame tb_lasti tb_next
        BaseTorchFunctionMode ForwardRef TorchDispatchMode TorchFunctionMode
        torch harness
    """),
    **_all(CHECKPOINT, """
        register_state_dict_pre_hook register_state_dict_post_hook _register_state_dict_hook
        register_load_state_dict_pre_hook register_load_state_dict_post_hook
        _register_load_state_dict_pre_hook
    """),
}  # fmt: skip
"""Attribute names that are refused on every object."""

CACHES: Mapping[str, str] = {
    **_all(FILES, "triton.knobs.cache triton.runtime.cache"),
    **_all(FOREIGN_CODE, "triton.compiler"),
}
"""Full names that are refused: where compiled kernels are made and left."""

EXCEPTIONS = _names("triton.language.load triton.experimental.gluon.language.load numpy.lib")
"""Full names that are meant well."""

SEEDERS = _names("""
    manual_seed manual_seed_all default_rng RandomState Random SystemRandom SeedSequence PCG64
    PCG64DXSM Philox MT19937 SFC64
""")
"""All of them take `task.seed` and nothing else."""

DUNDER_READ = _names("""
    __call__ __class__ __contains__ __doc__ __enter__ __eq__ __exit__ __getitem__ __hash__
    __init__ __iter__ __len__ __name__ __new__ __next__ __post_init__ __qualname__ __repr__
    __setitem__ __version__
""")
"""Attributes between double underscores that may be read or called."""

DUNDER_NAMES = _names("__class__ __debug__ __doc__ __file__ __name__")
"""Plain names between double underscores that may be read."""

DUNDER_ASSIGNED = _names("__all__ __constants__ __hash__ __slots__ __version__")
"""And those that may be assigned to."""

REFUSED_METHODS: Mapping[str, str] = {
    **_all(REFLECTION, """
        __array_function__ __array_ufunc__ __class_getitem__ __del__ __dir__ __getattribute__
        __import__ __init_subclass__ __instancecheck__ __prepare__ __set_name__
        __subclasscheck__ __subclasshook__ __torch_dispatch__ __torch_function__
    """),
    **_all(CHECKPOINT, """
        __copy__ __deepcopy__ __getnewargs__ __getnewargs_ex__ __getstate__ __reduce__
        __reduce_ex__ __setstate__
    """),
}  # fmt: skip
"""Special methods that train.py may not define."""

CHECKPOINT_METHODS = _names("""
    state_dict load_state_dict _save_to_state_dict _load_from_state_dict get_extra_state
    set_extra_state
""")
"""What a class of train.py does not define, so that nn.Module saves and loads it."""

PRIVATE = re.compile(
    r"_(dynamo|inductor|functorch|higher_order_ops|pytree|grouped_mm|int_mm|weight_norm|assert"
    r"|assert_async|(foreach|fused|scaled|flash|cudnn)_\w+|[A-Z]\w*[a-z]\w*)$"
)
"""Private names of modules that are in common use, base classes such as `_Loss` among them."""

# ---- what may run when the file is imported -------------------------------------------------

IMPORT_TIME_BUILTINS = _names("""
    abs all any bool bytes classmethod complex dict divmod enumerate filter float frozenset
    getattr hasattr int isinstance issubclass len list map max min object pow property range repr
    reversed round set slice sorted staticmethod str sum super tuple type zip
""")

IMPORT_TIME = THIRD_PARTY | _names("""
    collections contextlib dataclasses enum fractions functools itertools math operator
    torch._dynamo torch.amp torch.autocast torch.backends torch.compile torch.compiler
    torch.cuda.amp torch.cuda.get_device_capability torch.cuda.get_device_name
    torch.cuda.get_device_properties torch.cuda.is_available torch.cuda.is_bf16_supported
    torch.device torch.enable_grad torch.finfo torch.inference_mode torch.library
    torch.mps.is_available torch.no_grad torch.set_float32_matmul_precision torch.tensor triton
    types typing typing_extensions warnings
""")
"""Full names, or some of their parts from the beginning, of what may be called at import."""

IMPORT_TIME_METHODS = _names("register_autograd register_fake register_kernel register_vmap")
"""Of a custom operator; besides these, methods of literals."""

PLAIN_BASES = _names("""
    dataclasses.dataclass typing.NamedTuple enum.Enum enum.IntEnum enum.StrEnum
    types.SimpleNamespace
""")
"""Decorators and bases of classes that only hold values."""
