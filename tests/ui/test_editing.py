"""A person's own editor, and what their change is called."""

from pathlib import Path

import pytest

from cockpit.ui.editing import Edited, EditError, editor, suggested_title

TEXT = "LR = 0.03  # step size\nDEPTH: int = 4\n\n\ndef main():\n    pass\n"


def script(tmp_path: Path, body: str) -> dict[str, str]:
    """Return an environment whose editor is a shell script; `$1` is the file."""
    path = tmp_path / "an editor.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return {"EDITOR": f"'{path}'"}


def test_what_the_editor_leaves_is_the_text(tmp_path: Path) -> None:
    edited = Edited(TEXT)
    assert edited.path.stat().st_mode & 0o077 == 0 or edited.path.parent.stat().st_mode & 0o077 == 0
    assert edited.edit(script(tmp_path, 'sed -i s/0.03/0.04/ "$1"')) == TEXT.replace("0.03", "0.04")
    edited.forget()
    assert not edited.path.parent.exists()


def test_what_was_not_changed_is_nothing(tmp_path: Path) -> None:
    edited = Edited("one\r\ntwo\n")
    assert edited.edit(script(tmp_path, "true")) is None
    edited.forget()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("exit 3", "ended with 3: nothing is queued"),
        ('printf "\\377\\376" > "$1"', "is no text"),
        ('rm "$1"', "is no text"),
    ],
)
def test_an_editor_that_fails_says_so_and_the_text_stays(
    tmp_path: Path, body: str, told: str
) -> None:
    with pytest.raises(EditError, match=told):
        Edited(TEXT).edit(script(tmp_path, body))


def test_an_editor_that_is_not_there_is_named() -> None:
    with pytest.raises(EditError, match="can't run no-such-editor"):
        Edited(TEXT).edit({"VISUAL": "no-such-editor -w"})


def test_visual_comes_before_editor_and_vi_is_always_there() -> None:
    assert editor({"VISUAL": "code -w", "EDITOR": "nano"}) == ["code", "-w"]
    assert editor({"EDITOR": "nano"}) == ["nano"]
    assert editor({}) == ["vi"]
    with pytest.raises(EditError):
        editor({"EDITOR": "'"})


@pytest.mark.parametrize(
    ("after", "title"),
    [
        (TEXT.replace("0.03 ", "0.04 "), "LR 0.03 → 0.04"),
        (TEXT.replace("= 4", "= 8").replace("0.03 ", "0.1 "), "LR 0.03 → 0.1, DEPTH 4 → 8"),
        (TEXT.replace("pass", "return\n    pass"), "by hand: +1 −0 lines"),
    ],
)
def test_a_change_has_a_name_to_begin_with(after: str, title: str) -> None:
    assert suggested_title(TEXT, after) == title
