"""A sample of cargo-mutants' mutants against the unit tests: whether the tests would notice a defect.

    python tests/mutants/mutants.py 60 --seed 1

A mutant is named by its file, what was changed, and the text of the line: line numbers change with every commit. The
sample are the mutants whose names hash lowest with the seed, so that a change of the code changes little of it.
Survivors stand in survivors.toml with a reason. One that does not fails, and so does an entry whose mutant was caught,
or is no more. Exit codes: 0, 1 if something of that is so, 2 if cargo-mutants could not do its work.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SURVIVORS = Path(__file__).with_name("survivors.toml")
ROOMS = [
    *(
        f"src/{room}/**/*.rs"
        for room in ("domain", "provider", "transport", "sharing", "service", "access", "auth", "audit")
    ),
    *(f"src/{room}.rs" for room in ("status", "policy")),
]
# What cargo-mutants says of a mutant, and what that is worth.
CAUGHT = {"CaughtMutant", "Timeout"}
MISSED = {"MissedMutant"}
UNVIABLE = {"Unviable"}
# Found something (2: missed, 3: timeouts), which is what it is for.
DONE = {0, 2, 3}
# For the build too: what stands behind `--` is heard only by the run, and then every test binary is built for each mutant.
UNIT_TESTS = ["--cargo-arg=--lib", "--cargo-arg=--locked"]


class Broken(Exception):
    """cargo-mutants did not do its work."""


def name(mutant: Mapping, lines: Mapping[str, list[str]]) -> str:
    """The name of a mutant that stays the same while lines move."""
    file, at = mutant["file"], mutant["span"]["start"]["line"]
    what = re.sub(r"^\S+?:\d+:\d+: ", "", mutant["name"])
    return f"{file}: {what} @ {lines[file][at - 1].strip()}"


def named(mutants: Iterable[Mapping], read=lambda file: (ROOT / file).read_text()) -> dict[str, list[str]]:
    """The mutants by their names; more than one if a line has the same thing twice."""
    lines: dict[str, list[str]] = {}
    by_name: dict[str, list[str]] = defaultdict(list)
    for mutant in mutants:
        if mutant["file"] not in lines:
            lines[mutant["file"]] = read(mutant["file"]).splitlines()
        by_name[name(mutant, lines)].append(mutant["name"])
    return dict(by_name)


def sample(names: Iterable[str], count: int, seed: str) -> list[str]:
    """The names that hash lowest with the seed."""

    def rank(one: str) -> bytes:
        return hashlib.sha256(f"{seed}\0{one}".encode()).digest()

    return sorted(sorted(names, key=rank)[:count])


def changed(places: Iterable[tuple[str, int]], read=lambda file: (ROOT / file).read_text()) -> str:
    """A diff that touches only these lines, by file and number.

    For `--in-diff`: of the mutants that leave out a field, cargo-mutants 27.1 tries every one whatever `--re` says.
    """
    by_file: dict[str, set[int]] = defaultdict(set)
    for file, at in places:
        by_file[file].add(at)
    diff = []
    for file, numbers in sorted(by_file.items()):
        lines = read(file).splitlines()
        diff += [f"--- a/{file}", f"+++ b/{file}"]
        # The old file has none of them.
        for before, at in enumerate(sorted(numbers)):
            diff += [f"@@ -{at - 1 - before},0 +{at},1 @@", f"+{lines[at - 1]}"]
    return "\n".join([*diff, ""])


def results(outcomes: Mapping, by_name: Mapping[str, list[str]]) -> dict[str, str]:
    """What became of each name: `missed` if one of its mutants was, else `caught`, else `unviable`. No other is judged."""
    names = {long: short for short, all_of in by_name.items() for long in all_of}
    found: dict[str, set[str]] = defaultdict(set)
    for outcome in outcomes["outcomes"]:
        scenario, summary = outcome["scenario"], outcome["summary"]
        if scenario == "Baseline":
            if summary != "Success":
                raise Broken("the tests fail without any mutant")
            continue
        if one := names.get(scenario["Mutant"]["name"]):
            found[one].add(summary)
    judged = {}
    for one, summaries in found.items():
        if unknown := summaries - CAUGHT - MISSED - UNVIABLE:
            raise Broken(f"{one}: {', '.join(sorted(unknown))}")
        judged[one] = "missed" if summaries & MISSED else "caught" if summaries & CAUGHT else "unviable"
    return judged


def listed(text: str) -> dict[str, str]:
    """The survivors that are known, and why they may survive."""
    entries = tomllib.loads(text).get("survivor", [])
    known: dict[str, str] = {}
    for entry in entries:
        if entry.keys() != {"name", "reason"} or not entry["reason"].strip():
            raise Broken(f"survivors.toml: an entry needs name and reason, and nothing else: {entry}")
        if entry["name"] in known:
            raise Broken(f"survivors.toml: twice: {entry['name']}")
        known[entry["name"]] = entry["reason"]
    return known


def problems(judged: Mapping[str, str], known: Mapping[str, str], every: Iterable[str]) -> list[str]:
    """What is to be done, one line each."""
    every = set(every)
    lines = [f"survives: {one}" for one, what in sorted(judged.items()) if what == "missed" and one not in known]
    lines += [f"is caught, and listed: {one}" for one in sorted(known) if judged.get(one) in ("caught", "unviable")]
    lines += [f"is listed, and no mutant: {one}" for one in sorted(known) if one not in every]
    return lines


def cargo_mutants(*arguments: str) -> subprocess.CompletedProcess[str]:
    files = [word for room in ROOMS for word in ("--file", room)]
    return subprocess.run(
        ["cargo", "mutants", "--no-config", *files, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        # Built once for all runs, beside and not among what other recipes build.
        env=os.environ | {"CARGO_TARGET_DIR": str(ROOT / "target/mutants")},
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", default="1")
    asked = parser.parse_args()
    try:
        found = cargo_mutants("--list", "--json")
        if found.returncode:
            raise Broken("the mutants cannot be listed")
        mutants = json.loads(found.stdout)
        by_name = named(mutants)
        known = listed(SURVIVORS.read_text())
        chosen = sample(by_name, asked.count, asked.seed)
        print(f"{len(chosen)} of {len(by_name)} mutants, seed {asked.seed}", flush=True)
        names = {one: by_name[one] for one in chosen}
        wanted = {long for all_of in names.values() for long in all_of}
        patterns = [word for long in wanted for word in ("--re", f"^{re.escape(long)}$")]
        places = [(one["file"], one["span"]["start"]["line"]) for one in mutants if one["name"] in wanted]
        out = ROOT / "target/mutants-report"
        out.mkdir(parents=True, exist_ok=True)
        diff = out / "sample.diff"
        diff.write_text(changed(places))
        sampled = [*patterns, "--in-diff", str(diff)]
        ran = cargo_mutants(*sampled, "--output", str(out), "--colors", "never", *UNIT_TESTS)
        print(ran.stdout, end="")
        if ran.returncode not in DONE:
            raise Broken(f"cargo-mutants ended with {ran.returncode}")
        judged = results(json.loads((out / "mutants.out/outcomes.json").read_text()), names)
    except (Broken, OSError, ValueError) as broken:
        print(f"mutants: {broken}", file=sys.stderr)
        return 2
    tried = [what for what in judged.values() if what != "unviable"]
    caught = tried.count("caught")
    print(f"{caught} of {len(tried)} caught, {len(judged) - len(tried)} do not compile, seed {asked.seed}")
    to_do = problems(judged, known, by_name)
    print("\n".join(to_do), file=sys.stderr)
    return 1 if to_do else 0


if __name__ == "__main__":
    sys.exit(main())
