"""What went wrong, sorted."""

from dataclasses import replace

import pytest

from cockpit.core.experiment import Status
from cockpit.core.failures import clearly_worse, crash_kind, crashes, why_of
from cockpit.core.noise import Noise
from tests.core.tags import Row, tag

K, D, C = Status.KEPT, Status.DISCARDED, Status.CRASHED


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("run 1 failed: torch.OutOfMemoryError: CUDA out of memory", "out of memory"),
        ("run 1 failed: NameError: name 'x' is not defined", "NameError"),
        ("val_bpb is not a finite number", "loss not finite"),
        ("it ran past its wall limit", "too slow"),
        ("ended by SIGSEGV", "SIGSEGV"),
        ("", "other"),
    ],
)
def test_a_crash_has_a_kind(reason: str, kind: str) -> None:
    assert crash_kind(reason) == kind


def test_crashes_are_counted_by_kind_with_the_newest_first() -> None:
    rows: list[Row] = [(0, None, "baseline", K, (1.0,))]
    own = tag([*rows, *((n, 0, "x", C, ()) for n in range(1, 6))])
    for n in range(1, 6):
        own[n] = replace(own[n], reason="NameError: y" if n < 5 else "out of memory")
    found = crashes(own)
    assert [(crash.kind, crash.count) for crash in found] == [
        ("NameError", 4),
        ("out of memory", 1),
    ]
    assert found[0].examples == (4, 3, 2)


def test_clearly_worse_is_beyond_two_errors_or_improbable() -> None:
    own = tag(
        [
            (0, None, "baseline", K, (1.0,)),
            (1, 0, "much worse", D, (1.1,)),
            (2, 0, "noise", D, (1.001,)),
            (3, 0, "worst", D, (1.2,)),
            (4, 0, "better, by luck", D, (0.9999,)),
        ]
    )
    assert clearly_worse(own, Noise(0.001, 4, 2)) == (3, 1)
    own[1] = replace(own[1], probability=0.4)
    assert clearly_worse(own, Noise(0.001, 4, 2)) == (3,)


def test_a_reason_is_told_once() -> None:
    own = tag([(0, None, "b", C, (1.0,))])[0]
    own = replace(own, reason="boom", runs=(replace(own.runs[0], reason="boom"),))
    assert why_of(own) == "boom"
