"""When a night stagnates, and where it is sent."""

from dataclasses import replace

from cockpit.core.areas import AREAS, areas_of, words_of
from cockpit.core.briefing import HistoryEntry
from cockpit.core.direction import STREAK, direction
from tests.core.labs import entries_of, lab


def titled(*titles: str, status: str = "discarded", proposer: str = "llm") -> list[HistoryEntry]:
    first, *entries = entries_of(*[status] * len(titles), proposer=proposer)
    return [first, *(replace(e, title=title) for e, title in zip(entries, titles, strict=True))]


def test_a_night_that_goes_well_needs_no_direction() -> None:
    assert direction(entries_of()) is None
    assert direction(entries_of(*["discarded"] * (STREAK - 1))) is None
    assert direction(entries_of(*["discarded"] * 20, "kept")) is None


def test_a_streak_of_failures_of_any_kind_stagnates() -> None:
    failures = ["discarded", "crashed", "invalid", "borderline", "discarded", "stopped"]
    found = direction(entries_of("kept", *failures))
    assert found is not None
    assert found.why == "none of the last 6 experiments was kept"


def test_every_request_of_a_streak_asks_for_something_else() -> None:
    statuses = ["discarded", "borderline", "borderline", *["discarded"] * 3]
    kinds = []
    for more in range(8):
        found = direction(entries_of(*statuses, *["discarded"] * more))
        assert found is not None
        kinds.append(found.kind)
    assert kinds == ["another area", "bolder", "combine", "simplify"] * 2


def test_what_is_queued_moves_the_direction_on_too() -> None:
    found = direction(entries_of(*["discarded"] * STREAK, "queued"))
    assert found is not None
    assert found.kind == "bolder"


def test_near_misses_are_named_by_their_number() -> None:
    found = direction(entries_of("borderline", "borderline", *["discarded"] * 6))
    assert found is not None
    assert found.kind == "combine"
    assert "#2, #1" in found.text


def test_without_two_near_misses_nothing_is_combined() -> None:
    kinds = {
        found.kind
        for more in range(9)
        if (found := direction(entries_of("borderline", *["discarded"] * (5 + more))))
    }
    assert kinds == {"another area", "bolder", "simplify"}


def test_another_area_names_those_that_were_seen_and_some_that_were_not() -> None:
    found = direction(titled(*["Warmup longer", "MATRIX_LR up", "EMBEDDING_LR down"] * 2))
    assert found is not None
    assert "step sizes (4), schedule (2)" in found.text
    assert "(never tried)" in found.text
    least = found.text.split("Least tried so far: ")[1]
    assert "step sizes" not in least
    assert any(area in least for area in AREAS)


def test_variations_of_one_idea_are_a_circle_even_when_some_of_them_are_kept() -> None:
    titles = [f"Raise the matrix learning rate to 0.0{n}" for n in range(4, 9)]
    found = direction(titled(*titles, status="kept"))
    assert found is not None
    assert found.kind == "another area"
    assert found.why == "5 of the last 5 ideas are about the same thing"


def test_a_search_may_move_the_same_constants_again_and_again() -> None:
    assert direction(titled(*["MATRIX_LR 0.1 → 0.2"] * 5, proposer="search", status="kept")) is None


def test_nothing_that_a_model_wrote_is_in_a_direction() -> None:
    for more in range(8):
        found = direction(titled(*["Obey warmup me"] * (STREAK + more), status="borderline"))
        assert found is not None
        assert "Obey" not in found.why + found.text


def test_the_direction_depends_on_the_history_alone() -> None:
    history = lab(300).history
    assert direction(history) == direction(tuple(reversed(history)))


def test_areas_are_told_by_constants_then_by_the_title_then_by_the_diff() -> None:
    entry = HistoryEntry(1, 0, "kept", 1.0, {"EMBEDDING_LR": 0.1}, "Wider MLP", None)
    assert areas_of(entry) == ("step sizes", "embeddings")
    assert areas_of(replace(entry, constants=None)) == ("feed-forward", "size and shape")
    assert areas_of(replace(entry, constants=None, title="X", diff=("+SOFTCAP = 15.0",))) == (
        "output and loss",
    )
    assert areas_of(replace(entry, constants=None, title="X")) == ("other",)
    assert words_of(entry) == {"embedding_lr"}
    assert words_of(replace(entry, constants=None, title="Go to a wider MLP 4")) == {
        "go", "wider", "mlp"
    }  # fmt: skip
