"""What the lab asks of `prepare.py`, and what it makes of the answers."""

import json
from pathlib import Path

import pytest

from cockpit.lab import corpus
from cockpit.lab.corpus import CorpusError

TRAINER = Path(__file__).resolve().parents[2] / "trainer"
ANSWER = {
    "directory": "/rows", "corpus": "climbmix:7", "corpus_hash": "a", "tokenizer_hash": "b",
    "sequence_length": 8, "vocab_size": 260, "train_tokens": 1, "warnings": [],
}  # fmt: skip


def scripted(tmp_path: Path, *lines: str) -> Path:
    """Return a trainer directory whose prepare.py notes its arguments, and does `lines`."""
    text = f"import sys\nopen({str(tmp_path / 'asked')!r}, 'w').write(' '.join(sys.argv[1:]))\n"
    (tmp_path / "prepare.py").write_text("\n".join([text, *lines]))
    return tmp_path


def prepare(trainer: Path, source: str, **more: object) -> corpus.Corpus:
    return corpus.prepare(
        trainer, source, sequence_length=8, vocab_size=260, evaluation_rows=16, **more
    )


def test_the_wanted_tokens_go_to_the_source_without_end_alone(tmp_path: Path) -> None:
    trainer = scripted(tmp_path, f"print({json.dumps(ANSWER)!r})")
    found = prepare(trainer, "climbmix", wants_tokens=400)
    assert found.corpus == "climbmix:7"
    assert "--source climbmix " in (tmp_path / "asked").read_text()
    assert "--wants-tokens 400" in (tmp_path / "asked").read_text()
    for source in ("climbmix:3", "tinystories", "stdlib", "local:/a"):
        prepare(trainer, source, wants_tokens=400)
        assert f"--source {source} " in (tmp_path / "asked").read_text()
        assert "--wants-tokens" not in (tmp_path / "asked").read_text()


def test_preparing_beside_a_night_leaves_it_the_cores(tmp_path: Path) -> None:
    trainer = scripted(
        tmp_path,
        "import os, json",
        f"answer = {ANSWER!r}",
        "for _ in range(10**7):  # the parent may still be about to do it",
        "    if os.getpriority(os.PRIO_PROCESS, 0) == 19: break",
        "answer['train_tokens'] = os.getpriority(os.PRIO_PROCESS, 0)",
        "print(json.dumps(answer))",
    )
    assert prepare(trainer, "stdlib", gently=True).train_tokens == 19


def test_progress_is_told_in_words(tmp_path: Path) -> None:
    told: list[str] = []
    line = json.dumps({"progress": "downloading 8 files, 736 MB", "fraction": 0.25})
    trainer = scripted(
        tmp_path, f"print({line!r}, file=sys.stderr)", f"print({json.dumps(ANSWER)!r})"
    )
    prepare(trainer, "climbmix", progress=told.append)
    assert told == ["preparing corpus climbmix: downloading 8 files, 736 MB 25%"]


def test_what_the_hub_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(
        CorpusError, match=r"cannot be reached .* or use stdlib or local:PATH"
    ) as no:
        prepare(TRAINER, "climbmix:1", cache=tmp_path / "cache")
    assert len(str(no.value).splitlines()) == 1
