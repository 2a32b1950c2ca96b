"""cockpit.toml, the command line over it, and one line for every mistake."""

import dataclasses
import json
from pathlib import Path

import pytest

from cockpit.lab.lab import SettingsError
from cockpit.lab.settings import Settings, load, parse_duration


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cockpit.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("10s", 10), (" 8H ", 28800), ("45", 45),
     (2.5, 2.5), ("0.5h", 1800), ("1h 30m 5s", 5405), ("2d", 172800), ("1min", 60)],
)  # fmt: skip
def test_a_duration_is_read(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "m", "5x", "-5m", "0s", 0, -1, True, "nan", "5m3h", "1e400", []]
)
def test_what_is_no_duration_is_one_line(text: object) -> None:
    with pytest.raises(SettingsError, match="a time such as 90s, 5m or 1h30m") as told:
        parse_duration(text)
    assert "\n" not in str(told.value)


def test_nothing_given_is_none(tmp_path: Path) -> None:
    assert load(tmp_path / "cockpit.toml", {}) == Settings()
    assert set(dataclasses.asdict(Settings()).values()) == {None}


def test_the_command_line_wins(tmp_path: Path) -> None:
    path = file(tmp_path, 'budget = "5m"\nseed = 3\ngpus = [2, 3]\ncache_dir = "cache"\n')
    settings = load(path, {"budget": "10s", "seed": None, "max_experiments": 5})
    assert settings.budget_seconds == 10
    assert settings.seed == 3
    assert settings.max_experiments == 5
    assert settings.gpus == "2,3"
    assert settings.cache_dir == tmp_path / "cache"


def test_settings_cross_a_process_border_as_json(tmp_path: Path) -> None:
    settings = load(file(tmp_path, 'cache_dir = "/c"\nmemory_limit_gb = 4\n'), {"duration": "8h"})
    plain = json.loads(json.dumps(dataclasses.asdict(settings), default=str))
    assert Settings(**plain) == settings


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("budgte = '5m'", "unknown setting budgte: did you mean budget?"),
        ("max-experiments = 5", "did you mean max_experiments?"),
        ("zzz = 1", "there are budget, "),
        ("[night]\nbudget = '5m'", "unknown setting night"),
        ("budget = 'soon'", "budget: 'soon' is not a time"),
        ("seed = 1.5", "seed: 1.5 is not a whole number"),
        ("seed = true", "seed: True is not a whole number"),
        ("max_experiments = -1", "max_experiments: -1 is not a whole number of 0 or more"),
        ("confirm_when_idle = 1", "confirm_when_idle: 1 is neither true nor false"),
        ("force_gpus = 'yes'", "force_gpus: 'yes' is neither true nor false"),
        ("tag = 'a b'", "tag: 'a b' can't be a tag"),
        ("corpus = 3", "corpus: 3 is not a text"),
        ("memory_limit_gb = inf", "memory_limit_gb: inf is not a number above 0"),
        ("gpus = [true]", "gpus: [True] is no list of GPUs"),
        ("gpus = []", "gpus: [] is no list of GPUs"),
        ("cache_dir = ''", "cache_dir: '' is not a path"),
    ],
)
def test_a_wrong_setting_names_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(SettingsError) as error:
        load(path, {})
    assert str(error.value).startswith(str(path))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = file(tmp_path, "seed = 1\nbudget = = 3\n")
    with pytest.raises(SettingsError, match=r"cockpit\.toml:2: this is no TOML"):
        load(path, {})


def test_a_file_that_is_no_text_or_no_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "cockpit.toml"
    path.write_bytes(b"tag = '\xff'")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load(path, {})
    path.unlink()
    path.mkdir()
    with pytest.raises(SettingsError, match="can't read"):
        load(path, {})


def test_a_wrong_option_names_the_flag(tmp_path: Path) -> None:
    for name, value, told in (
        ("budget", "x", "--budget: "),
        ("max_experiments", "many", "--max-experiments: "),
        ("start_from", "", "--from: "),
        ("nonsense", 1, "unknown option nonsense"),
    ):
        with pytest.raises(SettingsError, match=told):
            load(tmp_path / "cockpit.toml", {name: value})


def test_a_setting_that_is_shown_may_hold_no_key() -> None:
    for given in (
        {"agent": "mine --api-key sk-abcdefghij0123456789"},
        {"api_base": "http://ada:secretword@localhost:8000/v1"},
    ):
        with pytest.raises(SettingsError, match="cockpit key NAME") as refused:
            load(None, given)
        assert "0123456789" not in str(refused.value)
    assert load(None, {"agent": "claude", "api_base": "http://localhost:1/v1"}).agent == "claude"


def test_models_prices_and_money_are_read() -> None:
    settings = load(None, {"model": "a/b, c/d", "max_cost": "$2.50", "proposer": "llm:3,search"})
    assert settings.model == ("a/b", "c/d")
    assert settings.max_cost == 2.5
    assert settings.proposer == "llm:3,search:1"
    for wrong in ({"max_cost": -1}, {"max_cost": "ten"}, {"proposer": "oracle"}, {"repairs": 99}):
        with pytest.raises(SettingsError):
            load(None, wrong)
    prices = load(None, {"model_prices": {"x/y": [0.15, 0.6]}}).model_prices
    assert prices == (("x/y", 0.15, 0.6),)
