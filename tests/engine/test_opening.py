"""What a new tag begins with."""

import subprocess
import sys
from pathlib import Path

import pytest

from cockpit.core.constants import read
from cockpit.engine.opening import baseline_text
from cockpit.lab import presets, template
from cockpit.lab.lab import LabError

TRAINER = template.directory() / "trainer"
TRAIN_PY = (TRAINER / "train.py").read_text(encoding="utf-8")
PRESETS = presets.read((TRAINER / "presets.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PRESETS)
def test_the_baseline_is_the_text_that_a_run_by_hand_would_train(name: str, tmp_path: Path) -> None:
    by_hand = (
        "import sys, by_hand; known = by_hand.presets(); name = sys.argv[1];"
        "sys.stdout.write(by_hand.with_preset(sys.stdin.read(), name, known[name]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", by_hand, name],
        cwd=TRAINER, input=TRAIN_PY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert baseline_text(TRAIN_PY, PRESETS[name]) == done.stdout


@pytest.mark.parametrize("name", PRESETS)
def test_every_constant_of_a_preset_lies_in_its_range(name: str) -> None:
    constants = read(baseline_text(TRAIN_PY, PRESETS[name]))
    assert constants["PRESET"].value == name
    for constant in constants.values():
        low, high = getattr(constant.search, "low", None), getattr(constant.search, "high", None)
        if low is not None and high is not None:
            assert low <= constant.value <= high, constant.name


def test_a_text_that_names_its_own_constants_is_the_baseline_as_it_is() -> None:
    own = TRAIN_PY.replace('PRESET = "auto"', 'PRESET = "none"')
    assert baseline_text(own, PRESETS["cpu"]) == own


def test_a_text_that_does_not_parse_is_refused_with_its_line() -> None:
    with pytest.raises(LabError, match=r"trainer/train\.py:2 does not parse"):
        baseline_text("A = 1\nB = = 2\n", PRESETS["cpu"])


def test_the_largest_preset_that_fits_the_device_is_chosen() -> None:
    assert presets.choose(PRESETS, "cuda", int(80e9)).name == "h100"
    assert presets.choose(PRESETS, "cuda", int(24e9)).name == "gpu24"
    assert presets.choose(PRESETS, "cuda", int(4e9)).name == "gpu8"
    assert presets.choose(PRESETS, "cpu", None).name == "cpu"


def test_evaluation_takes_at_most_a_tenth_of_the_budget() -> None:
    for preset in PRESETS.values():
        rows = preset.evaluation_rows(60.0)
        seconds = rows * preset.sequence_length / preset.evaluation_tokens_per_second
        assert seconds <= 6.0 or rows == presets.MINIMUM_EVALUATION_ROWS
