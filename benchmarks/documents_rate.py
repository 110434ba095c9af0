"""Real invoices a minute against llama-server: same model file, same fields, in one run.

The server, with one slot and with eight, is asked the plain way: the whole text of the invoice, the
six fields that the corpus has the truth of, temperature 0, a JSON schema.  Ours reads the files too
and checks every value; with it the parts that save tokens are switched on one after another.  All
sides take their turns at the same group of invoices before the next group comes.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import llama_cpp
from tools.build_llama_tools import tool

from benchmarks.accuracy import SETS, STATED, is_right, truths_of
from benchmarks.setup import Swarm, corpus, report, swarm
from hivekeep.daemon.profile import Profile
from hivekeep.documents import ReaderPool
from hivekeep.domain.documents import ReadLimits
from hivekeep.domain.fields import Plan
from hivekeep.domain.values import FieldValue
from hivekeep.engine.answer_cache import AnswerCache, CachedCompleter
from hivekeep.engine.store import ModelStore
from hivekeep.journal.database import KEY_BYTES
from hivekeep.recipes import builtin_recipes
from hivekeep.swarm.prompting import extraction_messages, request_groups
from hivekeep.swarm.prompting.rendering import render
from hivekeep.swarm.verification import Context, check, open_fields
from hivekeep.swarm.verification.amounts import canonical, parse_amount
from hivekeep.swarm.verification.dates import parse_date

FIELDS = SETS[0].fields
DRAFT = "qwen2.5-coder-0.5b-instruct-q4_k_m"
GOAL = 3.0
OURS, AGAIN = "+ labels first", "the same files again (answers kept)"
_SYSTEM = "You extract data from invoices. Answer with JSON only."
_QUESTION = """Invoice:
{text}

Extract these fields; use null where the invoice does not say:
invoice_number, issue_date (YYYY-MM-DD), currency (ISO code), seller (company name), \
buyer (customer name), total_amount (total including tax, number with a point)."""
_SCHEMA = {
    "type": "object",
    "properties": {name: {"type": ["string", "null"]} for name in FIELDS},
    "required": list(FIELDS),
    "additionalProperties": False,
}


@dataclass
class Side:
    """What one way of doing it has done so far."""

    documents: int = 0
    seconds: float = 0.0
    right: int = 0
    asked: int = 0
    tokens: list[int] = field(default_factory=lambda: [0, 0])

    @property
    def rate(self) -> float:
        """Documents a minute."""
        return 60 * self.documents / self.seconds if self.seconds else 0.0


def normal(name: str, raw: Any) -> Any:
    """The server's answer in the normal form that ours has, so that form decides nothing."""
    if raw is None:
        return None
    if name == "total_amount" and (amount := parse_amount(str(raw))):
        value = amount.resolve(None)
        return canonical(value) if value is not None else str(raw)
    if name == "issue_date" and (mention := parse_date(str(raw))):
        return mention.readings[0][1].isoformat()
    return raw


@asynccontextmanager
async def llama_server(model: Path, slots: int) -> AsyncIterator[httpx.AsyncClient]:
    """A running llama-server that has answered once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(tool("llama-server")), "-m", str(model), "-np", str(slots), "-t", "2",
        "-c", str(4096 * slots), "--port", str(port), "--host", "127.0.0.1", "--no-webui",
    ]  # fmt: skip
    process = await anyio.open_process(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=900) as client:
            while True:
                try:
                    if (await client.get("/health")).status_code == httpx.codes.OK:
                        break
                except httpx.TransportError:
                    if process.returncode is not None:
                        raise SystemExit("llama-server ended; run 'make llama-tools'.") from None
                await anyio.sleep(0.2)
            await ask(client, "Invoice 1")
            yield client
    finally:
        process.terminate()
        with anyio.CancelScope(shield=True):
            await process.wait()


async def ask(client: httpx.AsyncClient, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """One invoice: the answer and what it cost."""
    reply = await client.post("/v1/chat/completions", json={
        "messages": [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": _QUESTION.format(text=text)},
        ],
        "temperature": 0, "max_tokens": 400,
        "response_format": {"type": "json_schema", "json_schema": {"schema": _SCHEMA}},
    })  # fmt: skip
    reply.raise_for_status()
    body = reply.json()
    try:
        return json.loads(body["choices"][0]["message"]["content"]), body["usage"]
    except ValueError:
        return {}, body["usage"]


def count(side: Side, truth: dict[str, Any], answer: Callable[[str], Any]) -> None:
    """Count the right fields of one document."""
    for name in FIELDS:
        if truth.get(name) not in (None, ""):
            side.asked += 1
            side.right += is_right(name, answer(name), truth[name])


async def serve_group(
    client: httpx.AsyncClient, slots: int, texts: Sequence[str], truths: list[Any], side: Side
) -> None:
    """Ask the server about a group, as many at once as it has slots."""
    gate = anyio.CapacityLimiter(slots)
    answers: dict[int, dict[str, Any]] = {}

    async def one(number: int) -> None:
        async with gate:
            answers[number], usage = await ask(client, texts[number])
        side.tokens[0] += usage["prompt_tokens"]
        side.tokens[1] += usage["completion_tokens"]

    begun = time.monotonic()
    async with anyio.create_task_group() as group:
        for number in range(len(texts)):
            group.start_soon(one, number)
    side.seconds += time.monotonic() - begun
    side.documents += len(texts)
    for number, truth in enumerate(truths):
        said = answers[number]
        count(side, truth, lambda name, said=said: normal(name, said.get(name)))  # type: ignore[misc]


async def run_group(
    running: Swarm, plan: Plan, files: list[Path], truths: list[Any], side: Side
) -> None:
    """Run the swarm over a group of files: reading and checking included."""
    begun = time.monotonic()
    record = await running.run(plan, files, say=False)
    side.seconds += time.monotonic() - begun
    side.documents += len(files)
    for agent, truth in zip(record.agents.values(), truths, strict=True):
        result = agent.result

        def stated(name: str, result: Any = result) -> Any:
            value = result.get(FIELDS[name]) if result else None
            sure = isinstance(value, FieldValue) and value.status in STATED
            return value.value if sure and isinstance(value, FieldValue) else None

        count(side, truth, stated)
    usage = record.usage
    side.tokens[0] += usage.prompt - usage.cached
    side.tokens[1] += usage.completion


def say(name: str, side: Side) -> None:
    """Show how far one side has come."""
    print(
        f"  {side.documents:3} {name:36} {side.rate:6.2f}/min {side.right}/{side.asked}", flush=True
    )


def variants(plan: Plan, draft: bool) -> dict[str, Plan]:
    """Our road with its savings added one after another."""
    bare = replace(plan, labels_first=False, first_look_tokens=plan.context_tokens, draft_model="")
    relevant = replace(bare, first_look_tokens=plan.first_look_tokens)
    found = {
        "ours, whole document, all fields": bare,
        "+ relevance": relevant,
        OURS: replace(relevant, labels_first=True),
    }
    if draft:
        found["+ cascade (0.5B drafts)"] = replace(relevant, labels_first=True, draft_model=DRAFT)
    found[AGAIN] = found[OURS]
    return found


async def measure(options: argparse.Namespace) -> dict[str, Side]:
    """All sides over the same groups."""
    place = corpus() / SETS[0].folder
    truths = truths_of(place)
    names = sorted(truths)[options.offset :: options.step][: options.count]
    store = ModelStore(Profile.models())
    recipe = builtin_recipes()["invoices"].compile()
    plan = replace(recipe, fields=tuple(s for s in recipe.fields if s.name in FIELDS.values()))
    plan = replace(plan, sums=(), orders=())
    ways = variants(plan, options.draft)
    if options.brief:
        ways = {OURS: ways[OURS]}
    sides = {name: Side() for name in ("llama-server, 1 slot", "llama-server, 8 slots", *ways)}
    scratch = Path(tempfile.mkdtemp(prefix="hivekeep-rate-"))
    async with AsyncExitStack() as stack:
        cache = stack.enter_context(
            AnswerCache(scratch / "answers.db", key=bytes(KEY_BYTES), clock=time.time)
        )
        keep = {"answers": False}
        running = await stack.enter_async_context(
            swarm(scratch / "journal.db", wrap=lambda engine: CachedCompleter(
                engine, cache, lambda name: store.entry(name).sha256, lambda: keep["answers"],
            ))
        )  # fmt: skip
        servers = {
            slots: await stack.enter_async_context(llama_server(store.resolve(plan.model), slots))
            for slots in (1, 8)
        }
        spare = next(name for name in sorted(truths) if name not in names)
        warm = replace(ways[OURS], labels_first=False)
        for model in {way.draft_model or way.model for way in ways.values()}:
            await running.run(replace(warm, model=model), [place / spare], say=False)
        for start in range(0, len(names), options.group):
            group = names[start : start + options.group]
            files, true = [place / name for name in group], [truths[name] for name in group]
            texts = [render((await running.readers.read(file)).blocks) for file in files]
            for name, way in ways.items():
                keep["answers"] = name in (OURS, AGAIN)
                await run_group(running, way, files, true, sides[name])
                say(name, sides[name])
            for slots, client in servers.items():
                key = f"llama-server, {slots} slot{'s' if slots > 1 else ''}"
                await serve_group(client, slots, texts, true, sides[key])
                say(key, sides[key])
    return sides


async def count_prompts(options: argparse.Namespace) -> None:
    """Print the prompt tokens of the first questions of each side; nothing is computed."""
    place = corpus() / SETS[0].folder
    names = sorted(truths_of(place))[options.offset :: options.step][: options.count]
    recipe = builtin_recipes()["invoices"].compile()
    plan = replace(recipe, fields=tuple(s for s in recipe.fields if s.name in FIELDS.values()))
    plan = replace(plan, sums=(), orders=())
    path = ModelStore(Profile.models()).resolve(plan.model)
    vocabulary = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    totals: Counter[str] = Counter()
    unasked = 0
    async with ReaderPool(ReadLimits(), workers=1) as readers:
        for name in names:
            document = await readers.read(place / name)
            texts = {"llama-server": _SYSTEM + _QUESTION.format(text=render(document.blocks))}
            for way, chosen in variants(plan, draft=False).items():
                context = Context(chosen, document)
                asked = None
                if way == AGAIN:
                    continue
                if chosen.labels_first:
                    asked = open_fields(context, check(chosen, document, {}, context=context))
                    unasked += not asked
                # The system message is the same for all documents and computed once.
                texts[way] = "".join(
                    extraction_messages(chosen, document, fields=group)[1].content
                    for group in request_groups(chosen, asked)
                )
            for way, text in texts.items():
                totals[way] += len(vocabulary.tokenize(text.encode(), add_bos=False))
    for way, total in totals.items():
        print(f"{way:40} {total / len(names):8.0f} prompt tokens an invoice")
    print(f"{unasked} of {len(names)} invoices need no model")


def main() -> None:
    """Measure, print the table, and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=16, help="how many invoices")
    parser.add_argument("--step", type=int, default=5, help="every n-th of the corpus")
    parser.add_argument("--offset", type=int, default=0, help="the first one")
    parser.add_argument("--group", type=int, default=8, help="how many a turn")
    parser.add_argument("--draft", action="store_true", help="also with the 0.5B model's drafts")
    parser.add_argument("--brief", action="store_true", help="without the breakdown")
    parser.add_argument("--prompts", action="store_true", help="only count prompt tokens")
    options = parser.parse_args()
    if options.prompts:
        anyio.run(count_prompts, options)
        return
    sides = anyio.run(measure, options)
    ours = sides[OURS]
    servers = [side for name, side in sides.items() if name.startswith("llama-server")]
    print(f"\n{'':36} invoices/min  right fields  computed prompt + answer tokens")
    for name, side in sides.items():
        print(f"{name:36} {side.rate:12.2f}  {side.right:5}/{side.asked:<6}"
              f"  {side.tokens[0]} + {side.tokens[1]}")  # fmt: skip
    ratio = ours.rate / max(side.rate for side in servers)
    fair = ours.right >= max(side.right for side in servers)
    report(
        "documents_rate", ratio, "times the invoices a minute of the faster llama-server",
        f">= {GOAL} at no fewer right fields", holds=ratio >= GOAL and fair,
        against=f"llama-server 1 and 8 slots; right fields {ours.right} against "
        f"{', '.join(str(side.right) for side in servers)}",
        n=ours.documents,
    )  # fmt: skip


if __name__ == "__main__":
    main()
