"""Proposals and answers by a language model of any provider.

The process of this proposer alone holds keys. What it is asked for becomes a prompt
(`core.prompt`), what a model answers becomes data (`core.answers`), and between them are
providers that fail: `trying` carries on until a model answers or all have said why not.
An answer that came but can't be used is not an error here: it goes back to the model, with
the reason, by whoever asked.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

from cockpit.core.answers import AnswerError, Said, from_text, from_tool, unanswered
from cockpit.core.briefing import Briefing
from cockpit.core.experiment import Proposal
from cockpit.core.prompt import conversation
from cockpit.proposers.base import Answer, Event, Hear, Order, ProposerError, serve
from cockpit.proposers.keys import KeyRing, KeysError
from cockpit.proposers.library import load
from cockpit.proposers.models import Models
from cockpit.proposers.pricing import Prices
from cockpit.proposers.privacy import (
    end_when_nobody_listens,
    not_dumpable,
    redact_standard_error,
)
from cockpit.proposers.trying import NO_PRICE, NoAnswer, Options, Task, Trying, not_set
from cockpit.proposers.written import LIMIT_CHARACTERS, Written

PROBE_TOKENS = 16
PROBE_SECONDS = 30.0
"""A model that is silent for longer is not well."""
PROBE = (("user", "Answer with the one word: yes"),)
RAW_CHARACTERS = 60_000
"""Of an answer that goes back to be mended."""
HUGE_CHARACTERS = 4_000
"""Of one that was longer than anybody reads."""
MENDABLE = {
    "empty": "the answer was empty: it has to be a whole proposal",
    "spent": "the answer never came: think less, and write one short proposal",
}
"""Faults of all models after which the last may still be told what to do."""
HUGE = f"the answer was longer than {LIMIT_CHARACTERS} characters: write one short proposal"


class Llm:
    """Answers orders; remembers what it learnt of models while the process lives."""

    def __init__(self, keys: KeyRing) -> None:
        """Import nothing yet: that takes seconds."""
        self._keys = keys
        self._models: Models | None = None

    def handle(self, order: Order, hear: Hear) -> Answer:
        """Answer an order; `hear` gets the events. Raises `ProposerError`."""
        redact = self._keys.redact

        def hear_redacted(event: Event) -> None:
            hear(redact.everything(event))

        try:
            answer = self._answer(order, hear_redacted)
        except ProposerError as error:
            raise ProposerError(redact(str(error)), error.kind) from None
        return replace(
            answer,
            text=redact(answer.text),
            problem=redact(answer.problem) if answer.problem is not None else None,
            told=tuple(map(redact, answer.told)),
        )

    def _answer(self, order: Order, hear: Hear) -> Answer:
        options = Options.of(order.options)
        if not options.models:
            raise ProposerError("no model is named: give --model, such as openai/gpt-4o-mini")
        if self._models is None:
            self._models = Models(load())
        if order.kind == "about":
            return self._about(self._models, options)
        if order.kind == "probe":
            options = replace(options, attempts=1)
            options = replace(options, silence_seconds=min(PROBE_SECONDS, options.silence_seconds))
        trying = Trying(self._models, self._keys, options, hear)
        if order.kind == "probe":
            return _probe(trying)
        if order.briefing is None:
            raise ProposerError(f"there is no briefing in the order {order.kind}")
        ask = _answer_to if order.kind == "ask" else self._propose
        return ask(trying, order.briefing)

    def _about(self, models: Models, options: Options) -> Answer:
        """Say of each model whether its key is there, and its price."""
        try:
            self._keys.refresh(options.keys)
        except KeysError as error:
            raise ProposerError(str(error), "key") from None
        prices = Prices(models.library, options.prices or {})
        good, bad, kinds = [], [], set()
        for model in options.models:
            if models.provider(model) is None:
                bad.append(f"{model}: no provider is known for it; write provider/model")
                kinds.add("refused")
            elif missing := models.missing_keys(model):
                bad.append(f"{model}: {not_set(missing, options.keys)}")
                kinds.add("key")
            elif options.dollars_left is not None and not prices.known(model):
                bad.append(f"{model}: {NO_PRICE}")
                kinds.add("money")
            else:
                good.append(f"{model}: {prices.says(model)}")
        if not good:
            raise ProposerError("; ".join(bad), min(kinds) if len(kinds) == 1 else "key")
        return Answer(text="; ".join(good + bad), told=tuple(bad))

    # ---- proposing ------------------------------------------------------------------------

    def _propose(self, trying: Trying, briefing: Briefing) -> Answer:
        mends = bool(briefing.attempts) or briefing.crash is not None

        def messages(tools: bool, token_limit: int) -> Sequence[tuple[str, str]]:
            return conversation(replace(briefing, token_limit=token_limit), tools=tools)

        task = Task(
            purpose="repair" if mends else "proposal",
            doing="mending" if mends else "proposing",
            messages=messages,
            token_limit=briefing.token_limit,
            tools=True,
        )
        try:
            model, written = trying.answer(task)
        except NoAnswer as error:
            last = [*error.faults.values()][-1].kind
            if last not in MENDABLE:
                raise
            return Answer(problem=MENDABLE[last], told=tuple(trying.told))
        return replace(self._read(written, model, briefing), told=tuple(trying.told))

    def _read(self, written: Written, model: str, briefing: Briefing) -> Answer:
        """Make a proposal of an answer, or say what is wrong with it."""
        raw = self._keys.redact(written.answer)
        if written.huge:
            return Answer(text=raw[:HUGE_CHARACTERS], problem=HUGE)
        hints = [*briefing.hints, *([briefing.order] if briefing.order else [])]
        try:
            said = from_tool(raw) if written.arguments.strip() else from_text(raw)
        except AnswerError as error:
            problem = str(error)
            if written.finish == "length":
                problem = (
                    f"it was cut off where it became too long: answer in fewer words ({error})"
                )
            return Answer(text=raw[:RAW_CHARACTERS], problem=problem)
        proposal = _proposal(said, model, briefing, {hint.id for hint in hints})
        return Answer(proposal, raw[:RAW_CHARACTERS], problem=unanswered(said, hints))


def _proposal(said: Said, model: str, briefing: Briefing, hints: set[int]) -> Proposal:
    return Proposal(
        title=said.title,
        proposer="llm",
        hypothesis=said.hypothesis,
        edits=said.edits,
        predicted=said.predicted,
        hints=tuple(answer for answer in said.hints if answer.hint in hints),
        program=briefing.program_version,
        model=model,
        repair_of=briefing.crash.experiment if briefing.crash else None,
        order=briefing.order.id if briefing.order else None,
    )


# ---- answering --------------------------------------------------------------------------------


def _answer_to(trying: Trying, briefing: Briefing) -> Answer:
    """Answer the human's question."""

    def messages(_: bool, token_limit: int) -> Sequence[tuple[str, str]]:
        return conversation(replace(briefing, token_limit=token_limit), tools=False)

    task = Task("question", "answering", messages, briefing.token_limit)
    _, written = trying.answer(task)
    text = written.text.strip()[:RAW_CHARACTERS]
    if written.finish == "length" or written.huge:
        text += "\n[it was cut off here]"
    return Answer(text=text, told=tuple(trying.told))


def _probe(trying: Trying) -> Answer:
    """Find out whether a call would succeed now."""
    task = Task("probe", "probing", lambda _, __: PROBE, answer_tokens=PROBE_TOKENS)
    model, _ = trying.answer(task)
    return Answer(text=f"{model} answers", told=tuple(trying.told))


def main() -> None:
    """Be the proposer's process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpus", default="", help="cores it may use")
    cpus = [int(cpu) for cpu in parser.parse_args().cpus.split(",") if cpu]
    not_dumpable()
    keys = KeyRing()
    redact_standard_error(keys.redact)
    end_when_nobody_listens()
    serve(Llm(keys).handle, cpus)


if __name__ == "__main__":
    main()
