#!/usr/bin/python3
"""One theorem, tested: for any set of rows the findings are the same, however the rows arrived and whenever runs came.

Each round makes a stream of rows from its seed, judges it at once and by several schedules, and compares: the findings at
once with those of the naive evaluator, those of each schedule with those at once, in every column but ids and times of
writing. Prints TAP. A failing round is repeated by  make property SEED=<its seed> ROUNDS=1.
"""

import argparse
import multiprocessing
import os
import queue
import random
import sys
import time
import traceback

import psycopg2

import naive
import schedules
import shrink
import streams
from judge import Database, plain, text_of

# Whose findings may turn out to have an innocent explanation later, a deploy or a record: they stay, cleared, and say so.
MAY_BE_REFUTED = {'ops_dyno_restart_cluster', 'cost_heroku_addon_drift'}


class Difference(Exception):
    pass


def without_refuted(findings):
    """What the rows show; a finding that they once showed and no longer do may only be left by a few rules."""
    for f in findings:
        if 'refuted_at' in f['evidence'] and f['rule_id'] not in MAY_BE_REFUTED:
            raise Difference(f'the rows are said no longer to show what they never unshow:\n    {told(f)}')
    return [f for f in findings if 'refuted_at' not in f['evidence']]


def told(finding):
    return ', '.join(f'{key} {text_of(value) if key in ("start", "end") and value is not None else value}'
                     for key, value in finding.items())


def not_claimed(finding, late):
    """The columns in which a finding may depend on the schedule (docs/theorem.md says why). late: some rows are."""
    evidence = finding.get('evidence', {})
    if finding.get('unit', '').startswith('minutes') and finding['condition'] == 'firing':
        return {'summary', 'evidence'}  # of a silence that goes on they are those of the last look that found it worse
    # Verdicts on an average, a share or a mix are made before the last rows have come, which may make them milder.
    if late and ('verdict_at' in evidence or 'share' in (evidence.get('baseline') or {})):
        return {'observed', 'sample_size', 'threshold', 'p_value', 'summary'}
    if late and 'share' in evidence:
        return {'p_value'}
    return set()


def rounded(value):
    """To 12 figures, since sums of floats depend on their order in the last ones."""
    if isinstance(value, dict):
        return {key: rounded(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f'{value:.12g}') if isinstance(value, float) else value


def unlike(name, found, expected):
    """Where two values differ, a line for each place."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return [line for key in sorted({*found, *expected}) if rounded(found.get(key)) != rounded(expected.get(key))
                for line in unlike(f'{name}.{key}', found.get(key), expected.get(key))]
    return [f'    {name}: found {found}, expected {expected}']


def compare(found, expected, columns, what, late=False):
    """Both are lists of dictionaries; the first that differs is told."""
    def key(f):
        return tuple('' if c in not_claimed(f, late) else repr(rounded(f[c])) for c in columns)
    found, expected = sorted(found, key=key), sorted(expected, key=key)
    if [key(f) for f in found] == [key(f) for f in expected]:
        return len(expected)
    keys, other_keys = [key(f) for f in found], [key(f) for f in expected]
    extra = [f for f, k in zip(found, keys) if k not in other_keys]
    missing = [f for f, k in zip(expected, other_keys) if k not in keys]
    place = columns[:3]
    for f in extra:
        for m in missing:
            if all(f[c] == m[c] for c in place):
                wrong = [c for c in columns if key(f)[columns.index(c)] != key(m)[columns.index(c)]]
                raise Difference(f'{what}: of the finding {", ".join(str(f[c]) for c in place[:2])} at {text_of(f["start"])} differ:\n'
                                 + '\n'.join(line for c in wrong for line in unlike(c, f[c], m[c])))
    raise Difference(f'{what}: {len(found)} found, {len(expected)} expected\n' + '\n'.join(
        [f'    found, and not expected: {told(f)}' for f in extra[:2]] + [f'    expected, and not found: {told(m)}' for m in missing[:2]]
        or ['    one of them more than once']))


ALL = ['rule_id', 'entity', 'start', 'end', 'severity', 'verdict', 'condition', 'observed', 'source', 'threshold', 'unit', 'p_value',
       'fired_by', 'sample_size', 'occurrences', 'escalation_owner', 'summary', 'evidence']
PLAIN = list(naive.Finding._fields)


def check_at_once(db, stream):
    once = without_refuted(db.judge_at_once(stream))
    if stream.naive:
        sources = {source: [dict(row.values, time=row.time) for row in stream.rows if row.source == source] for source in stream.sources}
        compare([plain(f)._asdict() for f in once],
                [f._asdict() for f in naive.expected(db.rules(stream), sources, stream.end)], PLAIN, 'at once, beside the naive evaluator')
    return once


def check_schedule(db, stream, schedule, once=None):
    once = check_at_once(db, stream) if once is None else once
    late = any(isinstance(row.time, int) and row.arrives > row.time for row in stream.rows)
    return compare(without_refuted(db.judge(stream, schedule)), once, ALL, f'schedule "{schedule.name}", beside at once', late)


def check_backtest(db, stream, begin, end):
    """A backtest of a stretch finds what a run as of its end has, as far as it lies in the stretch; and leaves that as it is."""
    db.reset(stream)
    db.load(list(enumerate(stream.rows)))
    db.run(stream.rules, end)
    once = db.findings()
    expected = [f for f in without_refuted(once) if f['start'] <= end and (begin is None or f['end'] is None or f['end'] > begin)]
    found = db.backtest(stream.rules, '-infinity' if begin is None else begin, end)
    about = f'backtest from {"the first row" if begin is None else text_of(begin)} to {text_of(end)}, beside a run'
    compare(without_refuted(found), expected, ALL, about)
    if db.findings() != once:
        raise Difference(f'{about}: it has changed what was found')
    return len(expected)


def attempt(check):
    """What is wrong, or None."""
    try:
        check()
    except (Difference, AssertionError, psycopg2.Error) as wrong:
        return str(wrong)
    return None


def play(db, seed, options):
    """One round: (what it is about, what is wrong or None, how many findings were compared)."""
    stream = streams.make(seed)
    if options.group and stream.group not in options.group:
        return None
    about = f'seed {seed}, {stream.group}: {len(stream.rows)} rows'
    if stream.later and not db.sweeps:
        return f'{about} # SKIP there is no sweep', None, 0
    about += ', some later than the lateness' if stream.later else ''
    once, compared = [], 0

    def at_once():
        nonlocal once
        once = check_at_once(db, stream)
    wrong = attempt(at_once)
    if wrong:
        return about, wrong + shrink.told(stream, None, lambda s, _: attempt(lambda: check_at_once(db, s)), options.shrink), 0
    if stream.naive:
        compared += len(once)
    for schedule in schedules.some(stream, seed, options.schedules, options.steps):
        wrong = attempt(lambda: check_schedule(db, stream, schedule, once))
        if wrong:
            return about, wrong + shrink.told(stream, schedule, lambda s, c: attempt(lambda: check_schedule(db, s, c)), options.shrink), compared
        compared += len(once)
        about += f', {schedule.name} ({len(schedule.steps)})'
    rng = random.Random(f'backtests of {seed}')
    times = [row.time for row in stream.rows if isinstance(row.time, int) and stream.begin <= row.time < stream.end] or [stream.begin]
    stretches = [(None, stream.end), sorted([rng.choice(times), rng.choice([stream.end, rng.choice(times) + 1])])]
    # One that begins at the end of a finding, which has to be there whole.
    stretches += [(rng.choice(ends) - 1, stream.end) for ends in [[f['end'] for f in once if f['end'] and f['end'] <= stream.end]] if ends]
    for begin, end in stretches:
        if begin == end:
            continue
        counted = [0]

        def backtest(some_stream=stream):
            counted[0] = check_backtest(db, some_stream, begin, end)
        wrong = attempt(backtest)
        if wrong:
            return about, wrong + shrink.told(stream, None, lambda s, _: attempt(lambda: backtest(s)), options.shrink), compared
        compared += counted[0]
    return f'{about}; {len(once)} findings', None, compared


def overtake(db, seed):
    """Rows whose transactions end late, in real time: runs come between the beginning and the end of a transaction."""
    rng = random.Random(f'overtaken {seed}')
    rule, source = 'auth_login_failure_burst', 'login_failures'
    stream = streams.Stream('overtaken', [rule], [source], {rule: {'threshold': 3, 'window': '1 second'}}, 0, 0)
    db.reset(stream)
    number, is_open = 0, False
    for _ in range(30):
        action = rng.choice(['open', 'row', 'row', 'row', 'late row', 'late row', 'run', 'run', 'close'])
        if action == 'open' and not is_open:
            db.do('BEGIN', session=db.sessions[1])
            db.ask('SELECT now()', session=db.sessions[1])
            is_open = True
        elif action == 'close' and is_open:
            db.do(rng.choice(['COMMIT', 'COMMIT', 'ROLLBACK']), session=db.sessions[1])
            is_open = False
        elif action == 'run':
            db.ask(rng.choice(['SELECT count(*) FROM raxx_detect.run_all()', f"SELECT count(*) FROM raxx_detect.run('{rule}')"]))
            db.runs += 1
        elif action == 'row' or action == 'late row' and is_open:
            number += 1
            db.do(f"INSERT INTO {source} (id, event_time, account) OVERRIDING SYSTEM VALUE VALUES (%s, {rng.choice(['now()', 'clock_timestamp()'])}, %s)",
                  (number, rng.choice(['ann', 'bob'])), db.sessions[action == 'late row'])
        time.sleep(rng.choice([0, 0, 0.02, 0.2]))
    if is_open:
        db.do('COMMIT', session=db.sessions[1])
    end, = db.ask('SELECT clock_timestamp()::text')[0]
    db.run([rule], end)
    found = db.findings()
    rows = db.ask(f'SELECT id, event_time::text, account FROM {source}')
    db.reset(stream)
    db.load([(n, streams.Row(source, at, 0, {'account': account})) for n, at, account in rows])
    db.run([rule], end)
    return compare(found, db.findings(), ALL, 'late transactions, beside at once')


def work(number, seeds, options, results, enough):
    """Plays rounds in a database of its own."""
    name = f'raxx_property_{os.getpid()}'
    try:
        admin = psycopg2.connect('')
        admin.autocommit = True
        admin.cursor().execute(f'CREATE DATABASE {name}')
        try:
            setup = psycopg2.connect(dbname=name)
            setup.autocommit = True
            setup.cursor().execute('SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE')
            setup.close()
            db = Database(name, options.mutation)
            for seed in seeds if not options.overtaken else []:
                if enough.is_set():
                    break
                before = db.runs
                try:
                    played = play(db, seed, options)
                except Exception:  # so that it counts as a failure of this round, and the others go on
                    db.close()
                    played = (f'seed {seed}', traceback.format_exc(), 0)
                    db = None
                if played:
                    results.put((seed, *played, (db.runs if db else before) - before))
                if db is None:
                    break
            for seed in seeds if db and db.horizon and not options.group else []:
                if not enough.is_set() and (options.overtaken or seed % 12 == 0):
                    compared, before = [0], db.runs

                    def overtaken():
                        compared[0] = overtake(db, seed)
                    wrong = attempt(overtaken)
                    results.put((seed, f'seed {seed}: transactions that end late', wrong, compared[0], db.runs - before))
            if db:
                db.close()
        finally:
            admin.cursor().execute(f'DROP DATABASE {name} WITH (FORCE)')
    except Exception:
        results.put((None, f'worker {number}', traceback.format_exc(), 0, 0))
    results.put(None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seed', type=int, default=1, help='of the first round; the others count on from it')
    parser.add_argument('--rounds', type=int, default=60)
    parser.add_argument('--schedules', type=int, default=3, help='of each round')
    parser.add_argument('--steps', type=int, default=25, help='about how many runs a schedule has')
    parser.add_argument('--group', nargs='*', help='only these kinds of streams')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--shrink', type=float, default=20, help='seconds to make a failing round smaller')
    parser.add_argument('--mutation', default='', help='SQL that breaks the extension first, to see whether it is noticed')
    parser.add_argument('--overtaken', action='store_true', help='only transactions that end late')
    parser.add_argument('--stop', action='store_true', help='after the first round that fails')
    options = parser.parse_args()

    results, enough = multiprocessing.Queue(), multiprocessing.Event()
    seeds = range(options.seed, options.seed + options.rounds)
    workers = [multiprocessing.Process(target=work, args=(n, seeds[n::options.jobs], options, results, enough), daemon=True) for n in range(options.jobs)]
    for worker in workers:
        worker.start()
    busy, number, failed, runs, compared, began = len(workers), 0, 0, 0, 0, time.time()
    while busy:
        try:
            result = results.get(timeout=10)
        except queue.Empty:
            if any(worker.is_alive() for worker in workers):
                continue
            result = (None, 'a worker', 'it has gone', 0, 0)  # and will not say that it has done
            busy = 0
        if result is None:
            busy -= 1
            continue
        seed, about, wrong, findings, its_runs = result
        number, runs, compared = number + 1, runs + its_runs, compared + findings
        print(f'{"not " if wrong else ""}ok {number} - {about}', flush=True)
        if wrong:
            failed += 1
            print('\n'.join('# ' + line for line in wrong.splitlines()))
            if seed is not None:
                print(f'# to repeat it: make property SEED={seed} ROUNDS=1', flush=True)
            if options.stop:
                enough.set()
    print(f'1..{number}')
    print(f'# {number} streams, {runs} runs, {compared} findings compared in {time.time() - began:.0f} s')
    return 1 if failed or number == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
