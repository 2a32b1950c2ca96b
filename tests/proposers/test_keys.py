"""Where keys are kept, and that nobody sees one."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cockpit.proposers.keys import (
    KeyRing,
    KeysError,
    Redactor,
    keys_file,
    read_keys,
    secrets,
    write_key,
)

KEY = "sk-test-4f9c1a7e5b2d8036"
OTHER = "xyzzy-0123456789"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "cockpit" / "keys.env"


# --- the file ----------------------------------------------------------------------------------


def test_the_file_is_where_configurations_are() -> None:
    assert keys_file({"HOME": "/home/ada"}) == Path("/home/ada/.config/cockpit/keys.env")
    assert keys_file({"HOME": "/h", "XDG_CONFIG_HOME": "/etc/x"}) == Path("/etc/x/cockpit/keys.env")
    relative = {"HOME": "/h", "XDG_CONFIG_HOME": "x"}  # the standard wants them ignored
    assert keys_file(relative) == Path("/h/.config/cockpit/keys.env")


def test_a_key_is_written_for_its_owner_alone(path: Path) -> None:
    assert read_keys(path) == {}
    write_key(path, "OPENAI_API_KEY", KEY)
    write_key(path, "OTHER_KEY", OTHER)
    assert read_keys(path) == {"OPENAI_API_KEY": KEY, "OTHER_KEY": OTHER}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["keys.env"]


def test_a_key_is_replaced_and_taken_out_and_the_rest_stays(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"# mine\n\nexport A_KEY='{OTHER}'\nB_KEY = old-old-old\n")
    path.chmod(0o600)
    write_key(path, "B_KEY", KEY)
    assert path.read_text() == f"# mine\n\nexport A_KEY='{OTHER}'\nB_KEY={KEY}\n"
    assert read_keys(path) == {"A_KEY": OTHER, "B_KEY": KEY}
    write_key(path, "B_KEY", None)
    write_key(path, "C_KEY", None)
    assert read_keys(path) == {"A_KEY": OTHER}


def test_a_link_to_the_file_stays_a_link(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "dotfiles.env")
    write_key(path, "A_KEY", KEY)
    assert path.is_symlink()
    assert read_keys(tmp_path / "dotfiles.env") == {"A_KEY": KEY}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_file_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    write_key(path, "A_KEY", KEY)
    path.chmod(mode)
    for work in (lambda: read_keys(path), lambda: write_key(path, "A_KEY", OTHER)):
        with pytest.raises(KeysError, match=r"is open to others: chmod 600 .*keys\.env$"):
            work()


def test_what_is_no_key_is_one_line_that_does_not_show_it(path: Path) -> None:
    for value in ("two words", "", "a\nB_KEY=x", "'quoted'", "schlüssel-1"):
        with pytest.raises(KeysError, match="what was given for A_KEY is no key") as error:
            write_key(path, "A_KEY", value)
        assert not value or value not in str(error.value)
    with pytest.raises(KeysError, match="is no name"):
        write_key(path, "A-KEY", KEY)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    with pytest.raises(KeysError, match="each line must be NAME=value") as error:
        read_keys(path)
    assert KEY not in str(error.value)


def test_a_directory_in_its_place_is_one_line(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(KeysError, match="can't read"):
        read_keys(path)


# --- out of sight ------------------------------------------------------------------------------


def test_keys_are_known_by_the_names_of_their_variables() -> None:
    found = secrets(
        {
            "OPENAI_API_KEY": KEY,
            "GH_TOKEN": OTHER + "\n",
            "AWS_SECRET_ACCESS_KEY": "s" * 40,
            "DB_PASSWORD": "short",
            "KEYBOARD": "qwertzuiop",
            "MONKEY_BUSINESS": "bananas and so on",
            "PATH": "/usr/bin:/bin",
        }
    )
    assert found == {KEY, OTHER, "s" * 40}


def test_keys_are_replaced_wherever_they_are() -> None:
    redact = Redactor([KEY, KEY + "-longer", OTHER])
    assert redact(f"a {KEY}-longer b {KEY}, c") == "a [key] b [key], c"
    event = {"text": f"it is {OTHER}!", "n": 1, "list": [KEY, None], "pair": (KEY, 2.0)}
    assert redact.everything(event) == {
        "text": "it is [key]!", "n": 1, "list": ["[key]", None], "pair": ("[key]", 2.0),
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-test-4***************8036. You can find",
        "key sk-***8036",
        "key xyzzy-01...6789",
        "key xyzzy…89",
        "sk-proj-AbCd1234EfGh5678IjKl",
        "sk-ant-api03-abcdefgh-ijklmnop_1",
        "gsk_abcdefghijklmnopqrst0123",
        "AKIAIOSFODNN7EXAMPLE",
        "Authorization: Bearer abcdef.ghijkl.mnopqr",
        "http://ada:lovelace@proxy:3128/",
    ],
)
def test_shapes_of_keys_and_halves_of_known_ones_are_found(text: str) -> None:
    redacted = Redactor([KEY, OTHER])(text)
    assert "[key]" in redacted
    for part in ("4***", "8036", "6789", "…89", "1234", "mnop", "IOSF", "lovelace"):
        assert part not in redacted


@pytest.mark.parametrize(
    "text",
    [
        "x = mask-and-multiply-12345678  # task-0123456789abcdef0123",
        "from huggingface_hub import hf_hub_download_and_cache_everything",
        "this is ***very*** important, and so on... 2**3 *** foo",
        "f(*args, **kwargs) # sk-learn, skip-connections-are-good",
        "https://example.org/a:b@c?d=e",
        "for _ in range(10): ...",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert Redactor([KEY, OTHER])(text) == text


def test_redacting_takes_time_in_proportion() -> None:
    redact = Redactor([KEY])
    for text in ("a" * 300_000, "-_" * 150_000, "sk-" * 100_000, "://" * 100_000):
        assert redact(text) == text


def test_the_file_outranks_the_environment_until_a_line_goes(path: Path) -> None:
    environment = {"A_KEY": KEY, "HOME": "/h"}
    ring = KeyRing(environment)
    assert ring.present == {KEY}
    write_key(path, "A_KEY", OTHER)
    write_key(path, "PLAIN", "plain-but-secret")
    ring.refresh(path)
    assert environment == {"A_KEY": OTHER, "PLAIN": "plain-but-secret", "HOME": "/h"}
    assert ring.present == {OTHER, "plain-but-secret"}
    write_key(path, "A_KEY", None)
    write_key(path, "PLAIN", None)
    ring.refresh(path)
    assert environment == {"A_KEY": KEY, "HOME": "/h"}
    assert ring.redact(f"{KEY} {OTHER} plain-but-secret") == "[key] [key] [key]"


# --- the process -------------------------------------------------------------------------------


def test_standard_error_of_a_process_with_keys_shows_none() -> None:
    code = (
        "import os, subprocess, sys\n"
        "from cockpit.proposers.keys import KeyRing\n"
        "from cockpit.proposers.privacy import redact_standard_error\n"
        "redact_standard_error(KeyRing().redact)\n"
        "os.write(2, b'native ' + os.environ['A_KEY'].encode() + b'\\n')\n"
        "subprocess.run(['sh', '-c', 'echo child $A_KEY >&2'])\n"
        "raise ValueError('python ' + os.environ['A_KEY'])\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, cwd=root, env={**os.environ, "A_KEY": KEY},
    )  # fmt: skip
    assert done.returncode == 1
    assert "native [key]\nchild [key]\n" in done.stderr
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("ValueError: python [key]\n")
    assert KEY not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")
def test_a_process_with_keys_is_not_dumpable() -> None:
    get_dumpable = 3
    code = (
        "import ctypes\nfrom cockpit.proposers.privacy import not_dumpable\nnot_dumpable()\n"
        f"print(ctypes.CDLL(None).prctl({get_dumpable}, 0, 0, 0, 0))\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout == "0\n"
