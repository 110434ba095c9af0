"""When a smaller model's draft may stand: how sure it must be, and what asking it first costs.

Both models are asked the same question about each document, about all fields, as if no label
settled any.  A draft's value may stand if it is printed, breaks no sum, and each of its tokens was
likely enough; the table shows for several such limits how many values would stand, how many of them
are right, how many the larger model has right among the same ones, and in how many documents the
larger model need not be asked at all.  The larger model's time is saved only there: for one open
field it has to compute the whole prompt.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from benchmarks.accuracy import SETS, Set, is_right, scalars_only, truths_of
from benchmarks.documents_rate import DRAFT
from benchmarks.engine_setup import engine, machine_line
from benchmarks.setup import corpus, report
from hivekeep.documents import ReaderPool
from hivekeep.domain.documents import Document, ReadLimits
from hivekeep.domain.fields import Plan
from hivekeep.domain.inference import GenerateRequest
from hivekeep.domain.values import FieldValue
from hivekeep.engine.local import LocalEngine
from hivekeep.recipes import builtin_recipes
from hivekeep.swarm.answers import confidences, parse_answer
from hivekeep.swarm.prompting import extraction_messages, request_groups
from hivekeep.swarm.prompting.schema import answer_schema
from hivekeep.swarm.verification import Context, check, unconvincing

LIMITS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass
class Said:
    """What one model made of one document."""

    right: dict[str, bool]
    confidence: dict[str, float]
    answer: dict[str, Any]
    seconds: float


@dataclass
class Pair:
    """One document: the draft, the larger answer, and which drafts may stand at which limit."""

    draft: Said
    full: Said
    stands: dict[float, set[str]] = field(default_factory=dict)


async def ask(
    local: LocalEngine, plan: Plan, document: Document, model: str, name: str, truth: Any, own: Set
) -> Said:
    """Ask ``model`` about all fields of ``document``, alone on the engine."""
    ((fields),) = request_groups(plan)
    request = GenerateRequest(
        f"{model}:{name}", "cascade", name, model,
        extraction_messages(plan, document, fields=fields), answer_schema(plan, fields=fields),
        max_tokens=plan.max_tokens,
    )  # fmt: skip
    begun = time.perf_counter()
    finish = await local.complete(request)
    seconds = time.perf_counter() - begun
    answer = parse_answer(finish.text)
    result = check(plan, document, answer)
    right = {}
    for name_of_truth, name_of_field in own.fields.items():
        true = truth.get(name_of_truth)
        value = result.get(name_of_field)
        if true not in (None, ""):
            got = value.value if isinstance(value, FieldValue) else None
            right[name_of_field] = is_right(name_of_truth, got, true)
    return Said(right, confidences(finish.text, finish.logprobs), answer, seconds)


async def measure(own: Set, count: int, step: int) -> list[Pair]:
    """Both models over some documents of a set, one after the other for each document."""
    place = corpus() / own.folder
    truths = truths_of(place)
    plan = replace(scalars_only(builtin_recipes()[own.recipe].compile()), labels_first=False)
    pairs = []
    async with ReaderPool(ReadLimits(), workers=1) as readers, engine(2, 4096) as local:
        for name in sorted(truths)[::step][:count]:
            document = await readers.read(place / name)
            draft, full = [
                await ask(local, plan, document, model, name, truths[name], own)
                for model in (DRAFT, plan.model)
            ]
            pair = Pair(draft, full)
            context, asked = Context(plan, document), tuple(spec.name for spec in plan.fields)
            for limit in LIMITS:
                doubted = unconvincing(
                    context, asked, draft.answer, draft.confidence, convincing=limit
                )
                pair.stands[limit] = set(asked) - set(doubted)
            pairs.append(pair)
            print(f"\r{own.folder}: {len(pairs)}/{count} documents", end="", flush=True)
    print()
    return pairs


def show(pairs: list[Pair], fields: int) -> None:
    """The table over all limits."""
    print("limit  stands      right of these  larger model's right  documents without it")
    for limit in LIMITS:
        standing = [(p, name) for p in pairs for name in p.stands[limit] if name in p.full.right]
        draft = sum(p.draft.right[name] for p, name in standing)
        full = sum(p.full.right[name] for p, name in standing)
        spared = sum(len(p.stands[limit]) == fields for p in pairs)
        judged = sum(len(p.full.right) for p in pairs)
        print(f"{limit:5.2f}  {len(standing):4}/{judged:<5}  {draft:14}  {full:20}  {spared:9}")


def main() -> None:
    """Measure both sets; the value is the time with drafts over the time without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=16, help="documents of each set")
    parser.add_argument("--step", type=int, default=5, help="every n-th of the corpus")
    parser.add_argument("--limit", type=float, default=0.5, help="for the value that is reported")
    options = parser.parse_args()
    print(machine_line())
    with_drafts = without = 0.0
    number = 0
    for own in SETS:
        pairs = anyio.run(measure, own, options.count, options.step)
        fields = len(scalars_only(builtin_recipes()[own.recipe].compile()).fields)
        show(pairs, fields)
        drafts, full = sum(p.draft.seconds for p in pairs), sum(p.full.seconds for p in pairs)
        left = sum(p.full.seconds for p in pairs if len(p.stands[options.limit]) < fields)
        print(f"drafts {drafts:.1f} s, larger model {full:.1f} s, of it still needed {left:.1f} s")
        with_drafts, without = with_drafts + drafts + left, without + full
        number += len(pairs)
    ratio = with_drafts / without
    report(
        "cascade", ratio, "time with drafts over time without", "< 1", holds=ratio < 1,
        against="the larger model alone", n=number,
    )  # fmt: skip


if __name__ == "__main__":
    main()
