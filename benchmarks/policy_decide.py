"""One policy decision with 1,000 path rules, against checking the same rules one by one.

Prints what it compares and ends with one line of JSON.  Run: ``make bench NAME=policy_decide``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from hivekeep.domain.actions import Action, ActionKind
from hivekeep.policy import Policy, PolicySources, load_policy

GOAL_MICROSECONDS = 50.0


def make_policy(folder: Path, rules: int, chance: random.Random) -> tuple[Policy, list[str]]:
    """A policy with ``rules`` denied folders of two to six components, all under one root."""
    words = [f"dir{number}" for number in range(40)]
    folders = {
        "/srv/" + "/".join(chance.choices(words, k=chance.randint(2, 6))) for _ in range(rules * 2)
    }
    chosen = sorted(folders)[:rules]
    managed = folder / "managed"
    managed.mkdir(mode=0o755)
    (managed / "rules.json").write_text(json.dumps({"files": {"denied_folders": chosen}}))
    sources = PolicySources(managed, folder / "none", owners=frozenset({0, os.getuid()}))
    return load_policy(sources), chosen


def make_actions(folders: list[str], count: int, chance: random.Random) -> list[Action]:
    """Half of the paths lie in a denied folder, half beside one, which is the longest walk."""
    actions = []
    for _ in range(count):
        base = chance.choice(folders) + chance.choice(["", "x"])
        path = f"{base}/year {chance.randint(2000, 2030)}/file-{chance.random()}.pdf"
        actions.append(Action(ActionKind.READ_FILE, path=path, size=1000))
    return actions


def microseconds(decide: Callable[[Action], bool], actions: list[Action], rounds: int) -> float:
    """The median over ``rounds`` of the mean time of one decision."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        for action in actions:
            decide(action)
        times.append((time.perf_counter() - begin) / len(actions) * 1e6)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--actions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as scratch:
        policy, folders = make_policy(Path(scratch), options.rules, chance)
    actions = make_actions(folders, options.actions, chance)
    pure = [PurePosixPath(folder) for folder in folders]

    def by_policy(action: Action) -> bool:
        return policy.decide(action).allowed

    def one_by_one(action: Action) -> bool:
        path = PurePosixPath(action.path)
        return not any(path.is_relative_to(folder) for folder in pure)

    sample = actions[: max(20, options.actions // 50)]
    if [by_policy(action) for action in sample] != [one_by_one(action) for action in sample]:
        raise SystemExit("The two ways disagree.")
    ours = microseconds(by_policy, actions, options.rounds)
    plain = microseconds(one_by_one, sample, 3)
    print(f"{options.rules} denied folders, {options.actions} paths, half of them denied:")
    print(f"  policy.decide               {ours:10.2f} µs")
    print(f"  is_relative_to, rule by rule{plain:10.2f} µs")
    print(
        json.dumps(
            {
                "name": "policy_decide",
                "value": round(ours, 3),
                "unit": "µs",
                "goal": GOAL_MICROSECONDS,
                "holds": ours <= GOAL_MICROSECONDS,
                "against": {"is_relative_to rule by rule, µs": round(plain, 3)},
                "n": options.actions * options.rounds,
            },
            ensure_ascii=False,
        )
    )


if __name__ == "__main__":
    main()
