"""A change as a mail: what it says, and that no text in it can end it early."""

from dataclasses import replace

from cockpit.core.experiment import Experiment, Run, Status
from cockpit.core.patches import Change, file_name, mail, worth

RUN = Run(3, 1, 1, "s", 0, "finished", 0.0, val_bpb=1.9)
OWN = Experiment(
    3, "nov20", 1, "halve the batch", "llm", Status.KEPT, 1e9, "c" * 40, "Fewer tokens a step.",
    "rule", "P(better) 0.97", gain=-0.0031, gain_error=0.0005, probability=0.97, runs=(RUN, RUN),
)  # fmt: skip
PARENT = replace(OWN, id=1, parent=0, runs=(replace(RUN, val_bpb=1.904),))


def test_the_message_is_title_hypothesis_and_honest_gain() -> None:
    text = mail(Change(OWN, PARENT, b" stat\n\ndiff\n"), 2, 3).decode()
    head, body, *rest = text.split("\n\n")
    assert "Subject: [PATCH 2/3] halve the batch\n" in head
    assert "Date: Sun, 09 Sep 2001 01:46:40 +0000\n" in head
    assert body == "Fewer tokens a step."
    assert rest[0].splitlines() == [
        "Honest gain: −0.0031 ± 0.0005 val_bpb, P(better) 0.97",
        "Measured: val_bpb 1.9000 in 2 runs, −0.0040 against #1",
        "Kept by rule: P(better) 0.97",
    ]
    assert rest[1].startswith("Cockpit-Experiment: 3\nCockpit-Tag: nov20\nProposer: llm\n---\n")


def test_what_is_not_known_is_not_said() -> None:
    bare = Experiment(3, "nov20", 1, "", "llm", Status.CRASHED, 0.0, "c" * 40)
    assert worth(bare, PARENT) == ["Honest gain: not known", "Crashed"]
    assert worth(replace(bare, parent=None), None) == ["Crashed"]
    assert "Subject: [PATCH 1/1] Untitled\n" in mail(Change(bare, None, b""), 1, 1).decode()


def test_lines_that_git_would_take_for_its_own_are_moved_aside() -> None:
    own = "From: eve\n---\ndiff --git a b\nFrom c0ffee Mon\n-- \n>From me\nplain\n\x1b[31mred"
    text = mail(Change(replace(OWN, hypothesis=own), PARENT, b"diff\n"), 1, 1).decode()
    body = text.split("\n\n", 1)[1].split("\nHonest")[0]
    assert body == (
        " From: eve\n ---\n diff --git a b\n From c0ffee Mon\n --\n >From me\nplain\nred\n"
    )


def test_a_patch_is_called_as_its_title() -> None:
    assert file_name(1, "halve the batch") == "0001-halve-the-batch.patch"
    assert file_name(12, "../LR 0.1 → 0.2/") == "0012-LR-0-1-0-2.patch"
    assert file_name(3, "→") == "0003-untitled.patch"
    assert len(file_name(4, "x" * 500)) < 70
