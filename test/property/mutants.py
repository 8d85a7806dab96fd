#!/usr/bin/python3
"""Whether the test can fail: breaks the extension in one place after the other, and tells what noticed.

A mutant is a function of the extension with a piece of its text replaced. Prints a line for each: the round that failed
first, and at what. A mutant that none of the rounds notices is a failure, and so is a piece of text that is not there.
"""

import argparse
import os
import re
import subprocess
import sys

import psycopg2

# (what is broken, the function, the text, what it is replaced by). Where a mutant concerns but some rules, GROUPS says whose
# streams to play.
GROUPS = {'how bad a gap looked stays': 'audit,audit with a cadence', 'what a deploy has explained since is kept': 'restarts',
          'evaluate_unmatched': 'changes', 'unexplained_restart': 'restarts', 'surprising_shape': 'signups', 'judge_failures': 'webhooks',
          'gap_candidate': 'audit', 'judged_from': 'audit', 'quiet_stretch': 'audit', 'join_verdicts': 'returns',
          'takes_over': 'sessions with a baseline,errors with a baseline,passkeys with a baseline,sign-ups with a baseline', 'judging_day': 'sessions with a baseline', 'burst_candidates': 'logins',
          'replay_at_once': 'logins', 'replay': 'audit with a cadence,sessions with a baseline,errors with a baseline,passkeys with a baseline,sign-ups with a baseline', 'replay_source': 'sessions with a baseline,errors with a baseline,passkeys with a baseline,sign-ups with a baseline'}
MUTANTS = [
    ('bursts: the window is a microsecond longer', 'burst_candidates', 'network_prefixes(rule), window_length,',
     "network_prefixes(rule), window_length + interval '1 microsecond',"),
    ('bursts by baselines: the window is a microsecond shorter', 'baseline_burst_candidates', 'network_prefixes(rule), window_length,',
     "network_prefixes(rule), window_length - interval '1 microsecond',"),
    ('bursts: not read from a window before', 'burst_candidates', 'raxx_detect.before(exact_from, window_length), as_of', 'exact_from, as_of'),
    ('bursts: read from half a window before', 'baseline_burst_candidates', 'raxx_detect.before(exact_from, window_length)',
     'raxx_detect.before(exact_from, window_length / 2)'),
    ('settled without the lateness', 'judge_slice', 'raxx_detect.settling_time(rule, binding)', 'raxx_detect.hindsight(rule)'),
    ('settled a microsecond too far', 'judge_slice', 'raxx_detect.settling_time(rule, binding)',
     "raxx_detect.settling_time(rule, binding) - interval '1 microsecond'"),
    ('settled without the hindsight', 'judge_slice', 'raxx_detect.settling_time(rule, binding)', 'binding.lateness'),
    ('downtime of more than two hours is skipped', 'judge_slice', 'settled := greatest(known.settled, binding.judge_from);',
     "settled := greatest(known.settled, binding.judge_from, CASE WHEN known.settled IS NOT NULL THEN as_of - interval '2 hours' END);"),
    ('a finding that goes on forgets its peak', 'continued', 'told_by_old := ', 'told_by_old := false AND '),
    ('a finding that goes on forgets its beginning', 'continued', 'least(lower(old.episode), lower(c.episode))', 'lower(c.episode)'),
    ('an open episode is given the end that it has so far', 'record_findings', "condition = 'firing' AND c.condition IS NULL", 'false'),
    ('a gap is judged from what is settled, not from the row before', 'judged_from', 'coalesce(raxx_detect.last_event(binding, settled), settled)', 'settled'),
    ('gaps that late rows fill stay', 'record_findings', '(may_withdraw OR', '(false OR'),
    ('how bad a gap looked stays', 'record_findings', 'NOT (may_withdraw AND', 'NOT (false AND'),
    ('business hours end at 22:00', 'gap_candidate', 'rule.params)', "rule.params || '{\"business_to\": \"22:00\"}')"),
    ('a gap of exactly the limit counts', 'gap_candidate', 'inside > business_gap THEN', 'inside >= business_gap THEN'),
    ('a shape that began at the edge of what is settled is not known', 'surprising_shape', 'OR w.at = $8 AND $11 = $8', ''),
    ('a restart at the edge of a deploy is not explained', 'unexplained_restart', 'd.%2$I <= t.%3$I + interval', 'd.%2$I < t.%3$I + interval'),
    ('what a deploy has explained since is kept', 'judged_from', "rule.params ? 'deploy_margin'", 'false'),
    ('a change is judged before its record may come', 'evaluate_unmatched', 'raxx_detect.before(as_of, tolerance), tolerance', 'as_of, tolerance'),
    ('the threshold of a ratio is one less', 'judge_failures', 'ELSE j.k >= $10', 'ELSE j.k >= $10 - 1'),
    ('two runs at once', 'run_rule', 'FOR NO KEY UPDATE SKIP LOCKED', ''),
    ('the baseline of a day contains the day', 'judging_day', '::date', '::date + 1'),
    ('open transactions do not count', 'horizon', 'settles_to := oldest.since', 'settles_to := settles_to'),
    ('a run that sees the past settles', 'horizon', "settles_to := '-infinity'", 'settles_to := settles_to'),
    ('rows later than the lateness are not judged', 'sweep_source', 'IF judge_from IS NOT NULL THEN', 'IF false THEN'),
    ('a silence is quiet', 'quiet_stretch', 'until := least(until, raxx_detect.silence_allowed_until(rule, binding, as_of));', ''),
    ('what fires is quiet', 'quiet_stretch', "f.condition <> 'cleared'", 'false'),
    ('rows that are not settled are quiet', 'quiet_rules', 'AS event_time, c.settled,', 'AS event_time, c.looked_to AS settled,'),
    ('a backtest does not look for what began before its stretch', 'replay_at_once', 'WHILE cut_off LOOP', 'WHILE cut_off AND candidates IS NULL LOOP'),
    ('a backtest has no history', 'replay', "coalesce(raxx_detect.before(from_time, lead_in), '-infinity')", 'from_time'),
    ('a backtest is judged in one slice', 'replay_source', 'raxx_detect.slice_end(rule, binding, upto, to_time)', 'to_time'),
    ('verdicts of successive hours are not joined', 'join_verdicts', 'f.episode @> exact_from', 'false'),
]

MUTATION = """DO $mutate$
DECLARE
    definition text;
BEGIN
    SELECT pg_get_functiondef(p.oid) INTO STRICT definition FROM pg_proc p
    WHERE p.pronamespace = 'raxx_detect'::regnamespace AND p.proname = '{function}';
    IF strpos(definition, $from${before}$from$) = 0 THEN
        RAISE EXCEPTION 'the text is not there';
    END IF;
    EXECUTE replace(definition, $from${before}$from$, $to${after}$to$);
END $mutate$"""


def applicable():
    """Whether each mutant can be made at all, which takes no round; the number of those that cannot."""
    name = f'raxx_property_{os.getpid()}'
    admin = psycopg2.connect('')
    admin.autocommit = True
    admin.cursor().execute(f'CREATE DATABASE {name}')
    missing = 0
    try:
        db = psycopg2.connect(dbname=name)
        db.cursor().execute('SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE')
        db.commit()
        for number, (about, function, before, after) in enumerate(MUTANTS, 1):
            try:
                db.cursor().execute(MUTATION.format(function=function, before=before, after=after))
                print(f'ok {number} - {about}: can be made')
            except psycopg2.Error as error:
                missing += 1
                print(f'not ok {number} - {about}: cannot be made of {function}\n# {error.diag.message_primary}')
            db.rollback()
        db.close()
    finally:
        admin.cursor().execute(f'DROP DATABASE {name} WITH (FORCE)')
    return missing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', default='', help='mutants whose name contains this')
    parser.add_argument('--applicable', action='store_true', help='only whether the texts that they replace are there')
    options, others = parser.parse_known_args()
    if options.applicable:
        return 1 if applicable() else 0
    unnoticed = 0
    for number, (name, function, before, after) in enumerate([m for m in MUTANTS if options.only in m[0]], 1):
        more = ['--overtaken'] if function == 'horizon' and 'open' in name else []
        groups = GROUPS.get(name) or GROUPS.get(function)
        more += ['--group', *groups.split(',')] if groups else []
        run = subprocess.run([sys.executable, '-B', __file__.replace('mutants', 'theorem'), '--stop', '--shrink', '0', '--rounds', '2000', *others, *more,
                              '--mutation', MUTATION.format(function=function, before=before, after=after)],
                             capture_output=True, text=True)
        caught = re.search(r'^not ok (\d+) - (.*)\n# (.*)$', run.stdout, re.M)
        because = caught and ('Traceback' in caught[3]) and run.stdout.strip().splitlines()
        counted = re.search(r'\d+ streams.*', run.stdout)
        broken = not caught or 'worker' in caught[2]
        unnoticed += broken
        print(f'{"not " if broken else ""}ok {number} - {name}: ' + (f'round {caught[1]}, {caught[2]}: {(because and next((l for l in because if "Error" in l), "")) or caught[3][:100]}' if caught else f'not noticed, {counted and counted[0]}'),
              flush=True)
        if broken:
            print('\n'.join('# ' + line for line in (run.stdout + run.stderr).splitlines()[-12:]))
    print(f'1..{number}')
    return 1 if unnoticed else 0


if __name__ == '__main__':
    sys.exit(main())
