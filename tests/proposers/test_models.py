"""What is remembered of models."""

from cockpit.proposers.faults import Fault
from cockpit.proposers.models import Models, Refusals

OLD, NEW = frozenset({"sk-old-old"}), frozenset({"sk-new-new"})
FAULT = Fault("key", "revoked", 401)


class NoLibrary:
    """Tables in which nothing stands."""

    def __getattr__(self, name: str) -> None:
        raise KeyError(name)


def test_a_refused_key_is_remembered_until_it_is_another_or_the_model_answers() -> None:
    refusals = Refusals()
    assert refusals.known("a", OLD) is None
    refusals.note("a", OLD, FAULT)
    assert refusals.known("a", OLD) == FAULT
    assert refusals.known("a", NEW) is None
    assert refusals.known("b", OLD) is None
    refusals.forget("a")
    assert refusals.known("a", OLD) is None


def test_a_model_that_no_table_knows_gets_the_benefit_of_the_doubt() -> None:
    models = Models(NoLibrary())
    assert models.missing_keys("x/y") == ()
    assert models.has_tools("x/y") is False
    assert models.answer_tokens("x/y", 16_000) == 16_000
    assert models.prompt_tokens("x/y", 48_000, 16_000) == 48_000


def test_a_limit_that_is_named_is_kept_from_then_on() -> None:
    models = Models(NoLibrary())
    told = "max_tokens is too large: 16000. This model supports at most 4096 completion tokens"
    assert models.learn("x/y", Fault("rejected", told, 400))
    assert models.answer_tokens("x/y", 16_000) == 4096
    assert models.answer_tokens("x/z", 16_000) == 16_000
    assert not models.learn("x/y", Fault("rejected", told, 400))


def test_what_a_model_rejects_is_left_out_from_then_on() -> None:
    models = Models(NoLibrary())
    rejected = Fault("rejected", "Unknown parameter: stream_options", 400)
    assert models.tells_usage("x/y")
    assert models.learn("x/y", rejected)
    assert not models.tells_usage("x/y")
    assert not models.learn("x/y", rejected)
    assert not models.learn("x/y", Fault("rejected", "strange request", 400))
    assert not models.learn("x/y", Fault("server", "the tools are broken", 500))


def test_a_prompt_limit_is_halved_and_forgotten() -> None:
    models = Models(NoLibrary())
    models.shorten("x/y", 48_000)
    assert models.prompt_tokens("x/y", 48_000, 16_000) == 24_000
    models.shorten("x/y", 24_000)
    assert models.prompt_tokens("x/y", 48_000, 16_000) == 12_000
    models.forget_length("x/y")
    assert models.prompt_tokens("x/y", 48_000, 16_000) == 48_000
