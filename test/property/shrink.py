"""Makes a failing round smaller: fewer rows, fewer steps, as long as it fails."""

import dataclasses
import time

from judge import text_of
from schedules import Schedule


def fewer(items, fails, deadline):
    """A part of the items that still fails, from which nothing can be left out piece by piece."""
    piece = max(1, len(items) // 2)
    while time.time() < deadline:
        start, left_out = 0, False
        while start < len(items) and time.time() < deadline:
            rest = items[:start] + items[start + piece:]
            if fails(rest):
                items, left_out = rest, True
            else:
                start += piece
        if piece == 1 and not left_out:
            break
        piece = max(1, piece // 2)
    return items


def told(stream, schedule, wrong, seconds):
    """The smaller round, as lines of text. wrong(stream, schedule) says what is wrong, or None."""
    deadline = time.time() + seconds
    last = ['']

    def fails(rows, steps):
        message = wrong(dataclasses.replace(stream, rows=rows), schedule and Schedule(schedule.name, steps))
        last[0] = message or last[0]
        return message is not None
    rows, steps = stream.rows, schedule.steps if schedule else []
    steps = fewer(steps, lambda some: fails(rows, some), deadline)
    rows = fewer(rows, lambda some: fails(some, steps), deadline)
    steps = fewer(steps, lambda some: fails(rows, some), deadline)
    if not fails(rows, steps):
        return '\nit does not fail again'
    lines = [f'smaller: {last[0]}', f'parameters {stream.params}, lateness {stream.lateness / 10**6} s, judged up to {text_of(stream.end)}']
    shown = sorted(rows, key=lambda r: r.arrives)[-60:]
    if len(shown) < len(rows):
        lines.append(f'    {len(rows) - len(shown)} rows, and')
    lines += [f'    row of {r.source} at {text_of(r.time)}, arrives {text_of(r.arrives)}: {r.values}' for r in shown]
    lines += [f'    run of {", ".join(s.rules) if s.rules else "all rules"} as of {text_of(s.at)}'
              + (f', in session 1, open for {s.keep_open} steps' + (', rolled back' if s.abort else '') if s.session else '') for s in steps]
    return '\n' + '\n'.join(lines)
