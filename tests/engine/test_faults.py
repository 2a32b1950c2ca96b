"""How the engine waits when something does not work."""

from cockpit.engine.faults import LONGEST_SECONDS, Faults


def test_the_same_fault_is_waited_for_ever_longer_and_pauses_after_five() -> None:
    faults, now, waits = Faults(), 0.0, []
    for number in range(6):
        assert faults.note(OSError(f"no space left on /lab/{number}: code {number}"), now)
        waits.append(faults.wait_seconds)
        assert faults.pausing == (number >= 4)
        now = faults.retry_at
    assert waits == [1, 2, 4, 8, 16, 32]


def test_what_happens_while_it_waits_is_the_same_fault() -> None:
    faults = Faults()
    faults.note(OSError("disk"), 0.0)
    assert not faults.note(OSError("disk"), 0.5)
    assert faults.count == 1


def test_another_fault_begins_a_new_row() -> None:
    faults = Faults()
    faults.note(OSError("disk"), 0.0)
    faults.note(ValueError("disk"), 10.0)
    assert faults.count == 1


def test_thousands_of_faults_do_not_overflow_the_wait() -> None:
    faults, now = Faults(), 0.0
    for _ in range(3000):
        faults.note("broken", now)
        now = faults.retry_at
    assert faults.wait_seconds == LONGEST_SECONDS


def test_a_night_that_ends_waits_a_second_at_most() -> None:
    faults, now = Faults(), 0.0
    for _ in range(8):
        faults.note("broken", now)
        now = faults.retry_at
    assert faults.waits(now - 10.0)
    assert not faults.waits(now - faults.wait_seconds + 1.1, ending=True)


def test_progress_and_a_person_both_end_the_wait() -> None:
    faults = Faults()
    faults.note("broken", 0.0)
    faults.retry_now()
    assert not faults.waits(0.1)
    faults.clear()
    assert faults.count == 0
