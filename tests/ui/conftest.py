"""A lab with a real journal, and a night that is pretended to go on in it."""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from cockpit.core.experiment import Event, Proposal, Run, Status, Verdict
from cockpit.core.ledger import SlotLedger
from cockpit.lab.lab import Lab
from cockpit.lab.rows import Call, EngineRow, Stream
from cockpit.lab.writing import EngineJournal
from cockpit.ui.app import CockpitApp
from cockpit.ui.client import Client

SETUP = {"corpus": "stdlib", "device": "cpu", "device_name": "a processor", "budget_seconds": 60.0}
EVENTS = {
    Status.KEPT: Event.KEEP,
    Status.DISCARDED: Event.DISCARD,
    Status.BORDERLINE: Event.ASK,
    Status.CRASHED: Event.CRASH,
}


class Night:
    """The engine's hand: writes what an engine would have written."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        self.lab = Lab(root)
        self.tag = "nov20"
        self.night = 0

    @property
    def journal(self) -> EngineJournal:
        """A connection of one's own, as the engine has it."""
        if not hasattr(self, "_journal"):
            self.lab.state.mkdir(exist_ok=True)
            self._journal = EngineJournal(self.lab.journal)
            self._journal.add_tag(self.tag, SETUP, "setup", "cpu", {})
            self.night = self._journal.begin_night(self.tag, {"proposer": "search"})
        return self._journal

    def forget(self) -> None:
        """Close the journal."""
        if hasattr(self, "_journal"):
            self._journal.close()
            del self._journal

    def judged(
        self,
        parent: int | None,
        status: Status,
        val_bpb: float | None,
        title: str = "an idea",
        hypothesis: str = "",
    ) -> int:
        """Add an experiment with its verdict."""
        proposer = "baseline" if parent is None else "search"
        proposal = Proposal(title, proposer, hypothesis, {"LR": 0.03})
        number = self.journal.add_experiment(self.tag, parent, proposal)
        for seed in (1, 2) if parent is None else (1,):
            score = None if val_bpb is None else val_bpb + (seed - 1) * 0.001
            state = "failed" if score is None else "finished"
            run = Run(number, seed, seed, "setup", 0, state, time.time(), val_bpb=score)
            self.journal.add_run(run)
        self.journal.decide(number, status, Verdict(EVENTS[status], f"{status} for a reason"))
        return number

    def a_few(self) -> None:
        """Baseline #0, kept #1 (the best), discarded #2, borderline #3, crashed #4."""
        self.judged(None, Status.KEPT, 2.1, "baseline")
        self.judged(0, Status.KEPT, 2.0, "halve the batch", "It should take more steps.")
        self.judged(1, Status.DISCARDED, 2.2, "5% warmup")
        self.judged(1, Status.BORDERLINE, 1.999, "rope base 200k")
        self.judged(1, Status.CRASHED, None, "depth 99")

    def running(self, parent: int, title: str = "x0 lambda") -> int:
        """Add an experiment whose run is under way."""
        number = self.journal.add_experiment(self.tag, parent, Proposal(title, "search"))
        self.journal.decide(number, Status.RUNNING, Verdict(Event.CLAIM, "slot 0"))
        self.journal.add_run(Run(number, 1, 1, "setup", 0, "running", time.time()))
        self.write_metrics(number, 1, [])
        return number

    def write_metrics(self, number: int, run: int, lines: list[dict[str, Any]]) -> None:
        """Append to a run's metric stream."""
        directory = self.lab.run_directory(number, run)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "spec.json").write_text(json.dumps({"budget_seconds": 60.0}))
        with (directory / "metrics.jsonl").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def beat(self, state: str = "running", *, age: float = 0.0, reason: str | None = None) -> None:
        """Say what the engine says of itself."""
        now = time.time()
        row = EngineRow(1, state, "training", reason, now, now - age, 0.0, "boot", self.night)
        self.journal.say(row)
        self.journal.set_slot(0, "a processor", SlotLedger("training", time.monotonic()))

    def begin(self, **options: Any) -> int:
        """End the night, and begin another with these options."""
        self.journal.change_night(self.night, ended_at=time.time(), reason="enough was tried")
        self.night = self.journal.begin_night(self.tag, options)
        return self.night

    def call(
        self,
        dollars: float | None = 0.01,
        *,
        proposer: str = "llm",
        model: str = "openai/gpt-4o-mini",
        experiment: int | None = None,
        outcome: str = "ok",
    ) -> None:
        """Record a call of a model."""
        self.journal.add_call(
            Call(
                id=0,
                at=time.time(),
                night=self.night,
                proposer=proposer,
                model=model,
                purpose="proposal",
                experiment=experiment,
                prompt_tokens=1000,
                completion_tokens=200,
                dollars=dollars,
                seconds=2.0,
                outcome=outcome,
            )
        )

    def writing(self, text: str, speaker: str = "llm", about: str = "proposing") -> None:
        """Show what somebody is writing."""
        self.journal.set_stream(Stream(speaker, about, text, 1.7e9))

    @contextlib.contextmanager
    def alive(self, state: str = "running") -> Iterator[None]:
        """Hold the engine's lock."""
        with self.lab.locked():
            self.beat(state)
            yield


def step(number: int, seconds: float, loss: float | None) -> dict[str, Any]:
    """A line of the metric stream."""
    return {
        "kind": "step",
        "step": number,
        "seconds": seconds,
        "progress": seconds / 60,
        "tokens": number * 4096,
        "loss": loss,
        "tokens_per_second": 13_500.0,
        "lr_factor": 1.0,
        "grad_norm": 1.0,
        "mfu": 0.41,
        "memory_bytes": 812_000_000,
        "at": time.time(),
        "monotonic": time.monotonic(),
    }


def phase(name: str) -> dict[str, Any]:
    """A line that names the phase."""
    return {"kind": "phase", "phase": name, "at": time.time(), "monotonic": time.monotonic()}


@pytest.fixture(name="step")
def step_fixture() -> Callable[[int, float, float | None], dict[str, Any]]:
    """`step(number, seconds, loss)`: a line of the metric stream."""
    return step


@pytest.fixture(name="phase")
def phase_fixture() -> Callable[[str], dict[str, Any]]:
    """`phase(name)`: a line that names the phase."""
    return phase


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """A lab without a journal so far."""
    night = Night(tmp_path / "lab")
    yield night
    night.forget()


Screen = contextlib.AbstractAsyncContextManager[Pilot[None]]


@pytest.fixture
def screen(night: Night) -> Callable[..., Screen]:
    """`async with screen(width, height, card=…) as pilot`: the app on the lab of `night`."""

    @contextlib.asynccontextmanager
    async def show(width: int = 120, height: int = 40, **more: Any) -> AsyncIterator[Pilot[None]]:
        client = Client(night.lab)
        app = CockpitApp(client, **more)
        try:
            async with app.run_test(size=(width, height)) as pilot:
                yield pilot
        finally:
            client.close()

    return show


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """`await until(pilot, condition, what)`: let the app work until a condition holds."""

    async def wait(pilot: Pilot[None], condition: Callable[[], object], what: str = "") -> None:
        deadline = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"waited 10 s for {what or 'a condition'}:\n{picture(pilot.app)}")
            await pilot.pause(0.02)

    return wait


def picture(app: Any) -> str:
    """What is on the screen, as text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


@pytest.fixture(name="picture")
def picture_fixture() -> Callable[[Any], str]:
    """`picture(app)`: what is on the screen, as text."""
    return picture
