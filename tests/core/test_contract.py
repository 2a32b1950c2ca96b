"""The contract that a proposer reads is the trainer's own words."""

from pathlib import Path

from cockpit.core.contract import contract

TRAINER = Path(__file__).resolve().parents[2] / "trainer"


def test_the_contract_has_the_essay_and_every_public_method_of_the_task() -> None:
    told = contract({path.name: path.read_text() for path in TRAINER.glob("*.py")})
    assert "The harness owns everything a score depends on" in told
    for signature in ("def start()", "class Task(TaskInfo):", "def next_batch(", "def attend("):
        assert signature in told
    for part in ("    vocab_size: int", "    budget_seconds: float", "# harness.attention",
                 "    @property\n    def done("):  # fmt: skip
        assert part in told
    assert "def _" not in told
    assert len(told) < 16_000


def test_what_is_missing_or_broken_says_nothing() -> None:
    assert contract({}) == ""
    assert contract({"harness.py": "def ("}) == ""
