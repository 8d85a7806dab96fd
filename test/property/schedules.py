"""Schedules: when runs come, in how many sessions and transactions, and how the rows get there in between."""

import random
from dataclasses import dataclass
from typing import NamedTuple, Optional

from naive import DAY, HOUR, MINUTE, SECOND


class Step(NamedTuple):
    at: int  # the run's as_of; rows that have arrived by then are there
    rules: Optional[tuple] = None  # None: run_all()
    load: str = 'batch'  # the rows: all in a transaction, 'single': each in its own, 'together': in that of the run
    session: int = 0
    keep_open: int = 0  # for so many steps the transaction stays open
    abort: bool = False  # it is rolled back
    stale: bool = False  # it does not see the rows that have come just now


@dataclass
class Schedule:
    name: str
    steps: list


def edges(stream, rng, number):
    """Instants at which it matters whether less or not more is meant: those of rows, of the ends of windows, and of when
    they are settled, and a microsecond beside."""
    instants, settling = set(), set()
    for row in stream.rows:
        if isinstance(row.time, int):
            settling.add(row.time + stream.lateness + stream.hindsight)  # this row is the last that is settled then
            for t in (row.time, row.arrives):
                for later in (0, stream.window, stream.lateness, stream.lateness + stream.window,
                              stream.lateness + stream.hindsight, stream.hindsight):
                    instants.update((t + later - 1, t + later, t + later + 1))
    instants = sorted(t for t in instants if stream.begin <= t <= stream.end)
    if stream.marks:  # where the rows matter most, and every mark
        instants = [t for t in instants if t >= stream.end - 3 * DAY] + instants[:10]
        marks = [t + d for t in stream.marks for d in (-1, 0) if stream.begin <= t + d <= stream.end]
        instants += rng.sample(marks, min(number // 2, len(marks)))
    settling = sorted(t for t in settling if stream.begin <= t <= stream.end)
    return sorted(rng.sample(instants, min(number, len(instants))) + rng.sample(settling, min(number // 3, len(settling))))


def slices(stream, rng, number):
    """Random instants, most of them where the rows are."""
    times = [t for t in [r.time for r in stream.rows if isinstance(r.time, int)] if stream.begin <= t <= stream.end]
    if stream.marks and rng.random() < 0.5:
        times = [t for t in times if t > stream.end - DAY]
    lo, hi = min(times, default=stream.begin), min(stream.end, max(times, default=stream.end) + HOUR)
    return sorted(min(stream.end, rng.randint(lo, max(lo, hi))) for _ in range(number))


def seconds(stream, rng, number):
    """Every second over a short stretch that begins where something happens."""
    first = rng.choice(edges(stream, rng, 50) or [stream.begin])
    return [t for t in range(first, first + number * SECOND, SECOND) if t <= stream.end]


def arrivals(stream, rng, number):
    """Each time something has come."""
    times = sorted({r.arrives for r in stream.rows if stream.begin <= r.arrives <= stream.end})
    return sorted(rng.sample(times, min(number, len(times))))


def load_of(rng):
    return rng.choice(['batch', 'batch', 'single', 'together'])


def make(stream, kind, rng, number):
    rules = stream.rules
    often = rng.choice([0.1, 0.5, 1])  # run_all(), which is quiet where nothing has come

    def some():
        return None if rng.random() < often else tuple(rules)

    steps = []
    if kind == 'edges':
        steps = [Step(t, some(), load_of(rng)) for t in edges(stream, rng, number)]
    elif kind == 'slices':
        steps = [Step(t, some(), load_of(rng)) for t in slices(stream, rng, number)]
    elif kind == 'seconds':
        steps = [Step(t, some()) for t in sorted(edges(stream, rng, number // 3) + seconds(stream, rng, 2 * number // 3))]
    elif kind == 'arrivals':
        steps = [Step(t, some(), load_of(rng)) for t in arrivals(stream, rng, number)]
    elif kind == 'downtime':  # runs, then none for long, then one
        looks = sorted(edges(stream, rng, number // 2) + slices(stream, rng, number // 4))
        stop = rng.randint(0, len(looks))
        again = stop + rng.randint(0, len(looks) - stop)
        steps = [Step(t, some()) for t in looks[:stop] + looks[again:]]
    elif kind == 'rules':  # each rule in its own time
        steps = sorted((Step(t, (rule,), load_of(rng)) for rule in rules for t in
                        rng.choice([edges, slices])(stream, rng, number // len(rules))), key=lambda s: s.at)
    elif kind == 'quiet':  # many runs without anything new
        for t in edges(stream, rng, number // 4):
            steps += [Step(t, some())] * rng.randint(1, 3)
            steps += [Step(t + i, some()) for i in (1, SECOND, 2 * SECOND) if t + i <= stream.end]
        steps.sort(key=lambda s: s.at)
    elif kind == 'sessions':  # two at once, some of which come to nothing
        for t in sorted(edges(stream, rng, number // 2) + slices(stream, rng, number // 2)):
            chosen = None if rng.random() < often else tuple(rng.sample(rules, rng.randint(1, len(rules))))
            if rng.random() < 0.4:
                steps.append(Step(t, chosen, 'batch', 1, rng.randint(0, 3), rng.random() < 0.3, rng.random() < 0.3))
            else:
                steps.append(Step(t, chosen, load_of(rng)))
    if rng.random() < 0.3:  # now and then a run looks at what was looked at before
        steps = [s for step in steps for s in [step] + [Step(step.at - rng.randint(1, stream.lateness + SECOND), some())] * (rng.random() < 0.1)]
    return Schedule(kind, steps)


KINDS = ['edges', 'edges', 'slices', 'seconds', 'arrivals', 'downtime', 'rules', 'quiet', 'sessions', 'sessions']


def some(stream, seed, how_many, number):
    rng = random.Random(f'schedules of {seed}')
    kinds = []
    while len(kinds) < how_many:
        kind = rng.choice(KINDS)
        if kind not in kinds and (kind != 'rules' or len(stream.rules) > 1):
            kinds.append(kind)
    return [make(stream, kind, rng, number) for kind in kinds]
