"""What replicas share and what they do not, in figures: prints the tables of docs/scaling.md.

    just scaling             prints them
    just scaling --write     writes them into docs/scaling.md

A small simulation with fixed seeds: the same code prints the same tables. What it assumes of the program
(where an answer is looked for, how many commands Redis gets, what the budget of repeats holds) is held
against real replicas and a real Redis by tests/system/test_scaling.py.
"""

import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
BEGIN, END = "<!-- generated: scaling -->\n", "<!-- end: scaling -->\n"
SEED = 20261122


# --- Kept answers ---


@dataclass
class Replicas:
    """Where an answer is looked for: in the replica, in Redis, at the provider (docs/sharing.md)."""

    count: int
    redis: bool
    # How long an answer is kept, and how old the callers accept it (`max_age`), in seconds.
    lifetime: float = 24 * 3600
    did: Counter = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._memory: list[dict[int, float]] = [{} for _ in range(self.count)]
        self._redis: dict[int, float] = {}

    def ask(self, replica: int, person: int, now: float) -> None:
        """One lookup with `max_age`; notes in `did` what it took."""
        self.did["calls"] += 1
        here = self._memory[replica]
        if now - here.get(person, -self.lifetime) < self.lifetime:
            self.did["memory"] += 1
            return
        if self.redis:
            self.did["GET"] += 1
            if now - self._redis.get(person, -self.lifetime) < self.lifetime:
                here[person] = self._redis[person]
                self.did["redis"] += 1
                return
            self.did["SET"] += 1
            self._redis[person] = now
        here[person] = now
        self.did["provider"] += 1


def onboardings(calls: int, per_second: float, repeats: float, pause: float, random: random.Random) -> Iterator[tuple[float, int]]:
    """Lookups as (time, person): each is followed by another of the same person with a chance of `repeats`,
    after `pause` seconds in the mean. `per_second` counts all of them."""
    events, now, person = [], 0.0, 0
    while len(events) < calls:
        now += random.expovariate(per_second * (1 - repeats))
        person += 1
        at = now
        events.append((at, person))
        while random.random() < repeats:
            at += random.expovariate(1 / pause)
            events.append((at, person))
    yield from sorted(events)[:calls]


def sharing() -> list[str]:
    """How many lookups reach the provider, with and without Redis."""
    rows = ["| replicas | Redis | provider calls | hits in memory | hits in Redis | Redis commands per call |", "|---|---|---|---|---|---|"]
    for count in (1, 3, 10, 30):
        for redis in (False, True):
            chance = random.Random(SEED)
            replicas = Replicas(count, redis)
            for at, person in onboardings(100_000, 20, 0.3, 600, chance):
                replicas.ask(chance.randrange(count), person, at)
            did, calls = replicas.did, replicas.did["calls"]
            shares = [did[name] / calls for name in ("provider", "memory", "redis")]
            commands = (did["GET"] + did["SET"]) / calls
            rows.append(f"| {count} | {'yes' if redis else 'no'} | {' | '.join(f'{share:.1%}' for share in shares)} | {commands:.2f} |")
    return rows


# --- The provider's rate limit ---


class Bucket:
    """`providers.<p>.rate_per_second` with its default burst: as many as in a second."""

    def __init__(self, per_second: int):
        self.per_second = self._tokens = float(per_second)
        self._seen = 0.0

    def take(self, now: float) -> bool:
        self._tokens = min(self.per_second, self._tokens + (now - self._seen) * self.per_second)
        self._seen = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def rates() -> list[str]:
    """A contract of 100 requests a second, divided among the replicas."""
    contract, seconds, loads = 100, 600, (0.7, 0.9, 1.0)
    heads = " | ".join(f"refused at {load:.0%}" for load in loads)
    rows = [f"| replicas | limit of each | total | {heads} | refused at 90%, round robin |", "|---|---|---|---|---|---|---|"]
    for count in (1, 2, 3, 5, 10, 30):
        each = contract // count
        refused = [f"{refusals(count, each, contract * load, seconds, in_turn=False):.2%}" for load in loads]
        refused.append(f"{refusals(count, each, contract * 0.9, seconds, in_turn=True):.2%}")
        rows.append(f"| {count} | {each} | {each * count} | {' | '.join(refused)} |")
    return rows


def refusals(count: int, each: int, per_second: float, seconds: int, *, in_turn: bool) -> float:
    """The share of calls that their replica refuses as RATE_LIMITED."""
    chance = random.Random(SEED)
    buckets = [Bucket(each) for _ in range(count)]
    now, calls, refused = 0.0, 0, 0
    while (now := now + chance.expovariate(per_second)) < seconds:
        replica = calls % count if in_turn else chance.randrange(count)
        calls += 1
        refused += not buckets[replica].take(now)
    return refused / calls


# --- Repeats ---


class Budget:
    """Repeats are at most a share of the calls, with a reserve (src/transport/budget.rs)."""

    def __init__(self, share: float, reserve: int):
        self.share, self.reserve = share, float(reserve)
        self.left = self.reserve

    def put(self) -> None:
        self.left = min(self.reserve, self.left + self.share)

    def take(self) -> bool:
        # The shares are added up: half a hundredth forgives what adding loses.
        if self.left < 0.995:
            return False
        self.left -= 1
        return True


@dataclass
class Layer:
    """Something that sends a failed call again."""

    attempts: int
    budget: Budget | None

    def run(self, send) -> bool:
        """Sends until it succeeds or may not any more."""
        if self.budget:
            self.budget.put()
        for attempt in range(self.attempts):
            if attempt and self.budget and not self.budget.take():
                return False
            if send():
                return True
        return False


def layers(budgets: bool) -> dict[str, list[Layer]]:
    """The gateway's own numbers; a proxy of two retries and a client of three attempts, with budgets like it."""

    def layer(attempts: int, reserve: int) -> Layer:
        return Layer(attempts, Budget(0.2, reserve) if budgets else None)

    return {
        "the gateway": [layer(3, 10)],
        "and a proxy that retries UNAVAILABLE": [layer(3, 10), layer(3, 3)],
        "and a client that does so too": [layer(3, 10), layer(3, 3), layer(3, 10)],
    }


def requests_per_call(stack: list[Layer], failing: float, calls: int) -> float:
    """Requests that the provider gets for a call of the caller."""
    chance, sent = random.Random(SEED), 0

    def provider() -> bool:
        nonlocal sent
        sent += 1
        return chance.random() >= failing

    send = provider
    for layer in stack:
        send = (lambda layer, inner: lambda: layer.run(inner))(layer, send)
    for _ in range(calls):
        send()
    return sent / calls


def repeats() -> list[str]:
    """What a provider gets that answers some requests with an error that may be repeated."""
    failures = (0.01, 0.1, 0.5, 1.0)
    rows = [
        f"| who retries | {' | '.join(f'{failing:.0%} fail' for failing in failures)} | all fail, without budgets |",
        "|---|---|---|---|---|---|",
    ]
    for name in layers(True):
        cells = [f"{requests_per_call(layers(True)[name], failing, 20_000):.2f}" for failing in failures]
        cells.append(f"{requests_per_call(layers(False)[name], 1.0, 1000):.0f}")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


# --- Places ---


def places() -> list[str]:
    """Calls a second that fit into `providers.<p>.max_in_flight` = 256, by Little's law."""
    counts = (1, 3, 10)
    rows = [f"| the provider's response time | {' | '.join(f'{count} replicas' if count > 1 else '1 replica' for count in counts)} |", "|---|---|---|---|"]
    for latency in (0.2, 1, 2.5, 20):
        rows.append(f"| {latency:g} s | {' | '.join(f'{256 * count / latency:.0f}/s' for count in counts)} |")
    return rows


# --- The document ---


def tables() -> str:
    """Everything that stands between the marks of the document."""
    parts = (
        ("Cache: 20 lookups per second, three in ten of a person looked up about ten minutes before, every caller with `max_age`", sharing),
        ("A provider's limit of 100 requests per second, divided; random arrivals, with random load balancing or round robin", rates),
        ("Requests to the provider per call, without circuit breakers", repeats),
        ("Calls per second to one provider before OVERLOADED", places),
    )
    return "\n" + "\n".join(f"**{title}.**\n\n" + "\n".join(table()) + "\n" for title, table in parts) + "\n"


def written(document: str, tables: str) -> str:
    """The document with these tables."""
    before, rest = document.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + tables + END + after


def main() -> None:
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.write_text(written(DOCUMENT.read_text(), tables()))
    elif not sys.argv[1:]:
        print(tables())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
