"""The naive evaluator: what the findings are, straight from the definitions.

It shares nothing with the extension but the rules' parameters. Times are whole microseconds since 1970. A source is a
list of rows, dictionaries with 'time' and the roles; every question is answered by looking at all of them again.
"""

import hashlib
import ipaddress
import math
from datetime import datetime, timedelta, timezone
from typing import NamedTuple, Optional

MICROSECOND, SECOND, MINUTE, HOUR, DAY = 1, 10**6, 60 * 10**6, 3600 * 10**6, 86400 * 10**6


class Finding(NamedTuple):
    rule: str
    entity: str
    start: int
    end: Optional[int]  # None while it lasts
    peak: float
    severity: str
    verdict: Optional[str]
    condition: str


def length_of(text):
    """'10 minutes', '00:10:00', '7 days' in microseconds."""
    total, words = 0, text.split()
    while words:
        if ':' in words[0]:
            h, m, s = words.pop(0).split(':')
            total += int(h) * HOUR + int(m) * MINUTE + int(s) * SECOND
            continue
        number, unit = float(words.pop(0)), words.pop(0).rstrip('s')
        total += round(number * {'microsecond': 1, 'second': SECOND, 'sec': SECOND, 'minute': MINUTE, 'min': MINUTE,
                                 'hour': HOUR, 'day': DAY}[unit])
    return total


def instant_of(time):
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=time)


def name_of(entity):
    """As a finding names it: 200 characters at most, and then a hash."""
    return entity if len(entity) <= 200 else entity[:200] + '... sha256:' + hashlib.sha256(entity.encode()).hexdigest()


# ---- episodes ------------------------------------------------------------------------------------------------------

def intervals(changes, holds):
    """The maximal intervals [start, end) in which holds(t), which may be otherwise from each of the changes on, and
    holds neither before the first of them nor after the last."""
    found, start = [], None
    for t in sorted(changes):
        if holds(t) and start is None:
            start = t
        elif not holds(t) and start is not None:
            found.append((start, t))
            start = None
    assert start is None
    return found


def rows_within(rows, t, window):
    """Those in (t - window, t]."""
    return [r for r in rows if t - window < r['time'] <= t]


def changes_of(rows, window):
    return {r['time'] for r in rows} | {r['time'] + window for r in rows}


def by_entity(rows, entity):
    groups = {}
    for row in rows:
        if entity(row) is not None:
            groups.setdefault(entity(row), []).append(row)
    return groups


def finding(rule, entity, start, end, peak, severity, upto, verdict=None):
    lasts = end > upto
    return Finding(rule['rule_id'], name_of(entity), start, None if lasts else end, float(peak), severity, verdict,
                   'firing' if lasts else 'cleared')


def bursts(rule, rows, entity, measure, threshold, upto):
    """At least threshold of measure(rows in the window), entity by entity."""
    window = length_of(rule['params']['window'])
    for name, own in by_entity(rows, entity).items():
        def level(t):
            return measure(rows_within(own, t, window))
        for start, end in intervals(changes_of(own, window), lambda t: level(t) >= threshold):
            peak = max(level(t) for t in changes_of(own, window) if start <= t < end)
            yield finding(rule, name, start, end, peak, rule['severity'], upto)


def velocity(rule, rows, role, upto):
    return bursts(rule, rows, lambda r: r[role], len, rule['params']['threshold'], upto)


def network(address):
    address = ipaddress.ip_address(address)
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


# ---- the rules -----------------------------------------------------------------------------------------------------

def passkey_enumeration(rule, sources, upto):
    rows = [r for r in sources['passkey_begin_events'] if r['ip'] is not None and r['email'] is not None]
    return bursts(rule, rows, lambda r: network(r['ip']), lambda own: len({r['email'] for r in own}),
                  rule['params']['threshold'], upto)


def session_velocity(rule, sources, upto):
    return bursts(rule, sources['session_events'], lambda r: r['ip'] and network(r['ip']), len,
                  rule['params']['threshold'], upto)


def rbac_burst(rule, sources, upto):
    params, window = rule['params'], length_of(rule['params']['window'])
    rows = [r for r in sources['rbac_denials'] if r['permission'] is not None]
    for operator, own in by_entity(rows, lambda r: r['operator']).items():
        def elevated(t):
            return sum(r['permission'].endswith((':admin', ':write')) for r in rows_within(own, t, window))

        def distinct(t):
            return len({r['permission'] for r in rows_within(own, t, window)})

        changes = changes_of(own, window)
        for start, end in intervals(changes, lambda t: elevated(t) >= params['elevated_threshold']
                                    or distinct(t) >= params['distinct_threshold']):
            within = [t for t in changes if start <= t < end]
            worst = max(elevated(t) for t in within)
            if worst >= params['elevated_threshold']:
                yield finding(rule, operator, start, end, worst, 'high', upto)
            else:
                yield finding(rule, operator, start, end, max(distinct(t) for t in within), 'medium', upto)


def geographic_burst(rule, sources, upto):
    # None may pass for (mix), which is the entity of the rule's other findings.
    return bursts(rule, sources['waitlist_signups'],
                  lambda r: '(' + r['country'] if (r['country'] or '').startswith('(') else r['country'], len,
                  rule['params']['threshold'], upto)


FREE_MAIL = {'gmail.com', 'gmx.de'}


def pattern_of(email):
    """(registrable domain, shape) of the addresses that the streams have; (None, None) of what is none."""
    local, at, domain = (email or '').rpartition('@')
    labels = domain.lower().split('.')
    if not at or not local or '' in labels or len(labels) < 2:
        return None, None
    registrable = '.'.join(labels[-3:] if labels[-2:] == ['co', 'uk'] else labels[-2:])
    if registrable == 'co.uk':
        return None, None
    shape = ''
    for c in local.split('+')[0].replace('.', ''):
        kind = 'a' if c.isalpha() else '9' if c.isdigit() else c
        if not shape.endswith(kind):
            shape += kind
    return registrable, shape


def binomial_tail(k, n, p):
    return math.fsum(math.comb(n, i) * p**i * (1 - p)**(n - i) for i in range(k, n + 1))


def email_pattern(rule, sources, upto):
    params, window = rule['params'], length_of(rule['params']['window'])
    rows = [dict(time=r['time'], pattern=pattern_of(r['email'])) for r in sources['waitlist_signups']
            if r['email'] is not None]
    yield from bursts(rule, rows, lambda r: r['pattern'][0] if r['pattern'][0] not in FREE_MAIL else None, len,
                      params['threshold'], upto)
    for pattern, own in by_entity(rows, lambda r: r['pattern'] if r['pattern'][0] in FREE_MAIL and r['pattern'][1]
                                  else None).items():
        changes = changes_of(own, window)
        for start, end in intervals(changes, lambda t: len(rows_within(own, t, window)) >= params['threshold']):
            counts = {}  # of the sign-ups from the first on that is no chance
            for t in sorted({r['time'] for r in own if start <= r['time'] < end}):
                midnight = t // DAY * DAY
                before = [r for r in rows if midnight - length_of(params['shape_history']) <= r['time'] < midnight]
                share = (sum(r['pattern'] == pattern for r in before) + 1) / (len(before) + 2)
                k = len(rows_within(own, t, window))
                if counts or binomial_tail(k, len(rows_within(rows, t, window)), share) <= params['shape_tail']:
                    counts[t] = k
            if counts:
                yield finding(rule, pattern[1] + '@' + pattern[0], min(counts), end, max(counts.values()),
                              rule['severity'], upto)


def business_time(start, end):
    """How much of [start, end) lies between 12:00 and 22:30 UTC, Monday to Friday."""
    total = 0
    for day in range(start // DAY, end // DAY + 1):
        if instant_of(day * DAY).weekday() < 5:
            total += max(0, min(end, day * DAY + 22 * HOUR + 30 * MINUTE) - max(start, day * DAY + 12 * HOUR))
    return total


def audit_gap(rule, sources, upto):
    params = rule['params']
    for source in ('customer_audit_events', 'console_audit_events'):
        times = sorted({r['time'] for r in sources.get(source, [])})
        for start, end in zip(times, times[1:] + [None]):
            measured_to = upto if end is None else end
            inside = business_time(start, measured_to)
            outside = measured_to - start - inside
            if inside > length_of(params['business_gap']):
                peak = inside
            elif outside > length_of(params['off_hours_gap']):
                peak = outside
            else:
                continue
            severity = 'critical' if inside > length_of(params['critical_gap']) else 'high'
            yield Finding(rule['rule_id'], source, start, end, peak / MINUTE, severity, 'undetermined',
                          'firing' if end is None else 'cleared')


def benford(rule, sources, upto):
    params = rule['params']
    window, step = length_of(params['window']), length_of(params['step'])
    tail = rule['false_alarms_per_month'] / (30.4375 * DAY / step)
    law = [math.log10(1 + 1 / d) for d in range(1, 10)]
    values = [(r['time'], str(r['return_value'])) for r in sources['backtest_results'] if r['return_value'] is not None]
    values = [(t, next(int(c) for c in v if c in '123456789')) for t, v in values if set(v) & set('123456789')]
    start = worst = None
    # Between these and everywhere else the window is empty.
    grids = {g for t, _ in values for g in range(t // step * step, t + window + 2 * step, step)}
    for grid in sorted(g for g in grids if g <= upto):
        digits = [d for t, d in values if grid - window < t <= grid]
        n, fires = len(digits), False
        if n > params['run_above']:
            shares = [digits.count(d) / n for d in range(1, 10)]
            half = sum((s - p)**2 / p for s, p in zip(shares, law)) * n / 2
            p_value = math.exp(-half) * (1 + half + half**2 / 2 + half**3 / 6)  # chi-squared, 8 degrees of freedom
            mad = sum(abs(s - p) for s, p in zip(shares, law)) / 9
            fires = p_value <= tail and mad >= params['mad_threshold']
        if fires:
            start, worst = (grid, mad) if start is None else (start, max(worst, mad))
        elif start is not None:
            yield finding(rule, 'backtest_results', start, grid, worst, rule['severity'], upto)
            start = None
    if start is not None:
        yield finding(rule, 'backtest_results', start, upto + step, worst, rule['severity'], upto)


def signature_failures(rule, sources, upto):
    params, window = rule['params'], length_of(rule['params']['window'])
    failures = [r for r in sources['stripe_webhook_events'] if r['signature_valid'] is False]

    def level(t):
        return len(rows_within(failures, t, window))
    # It begins with a failure at which there are threshold of them, and goes on while there are baseline_floor.
    for start, end in intervals(changes_of(failures, window), lambda t: level(t) >= params['baseline_floor']):
        reached = [r['time'] for r in failures if start <= r['time'] < end and level(r['time']) >= params['threshold']]
        if reached:
            yield finding(rule, 'stripe_webhook_events', min(reached), end, max(map(level, reached)), rule['severity'],
                          upto)


def restart_cluster(rule, sources, upto):
    params = rule['params']
    margin = length_of(params['deploy_margin'])
    deploys = sources.get('deploy_events', [])
    rows = [r for r in sources['dyno_restarts']
            if r['cause'] not in params['excluded_causes'] and r['app'] is not None and r['dyno'] is not None
            and not any(d['app'] == r['app'] and abs(d['time'] - r['time']) <= margin for d in deploys)]
    return bursts(rule, rows, lambda r: r['app'], lambda own: len({r['dyno'] for r in own}), params['threshold'], upto)


def unmatched_changes(rule, sources, upto):
    tolerance = length_of(rule['params']['tolerance'])

    def joined(row):
        return '/'.join('\\N' if part is None else part.replace('\\', '\\\\').replace('/', '\\/')
                        for part in (row['app'], row['item']))

    def recorded(change):
        return None not in (change['app'], change['item']) and any(
            (r['app'], r['item']) == (change['app'], change['item']) and abs(r['time'] - change['time']) <= tolerance
            for r in sources['change_records'])

    at = {}
    for change in sources['addon_changes']:
        if change['time'] <= upto - tolerance and not recorded(change):
            at.setdefault((joined(change), change['time']), []).append(change)
    for (entity, time), changes in at.items():
        yield Finding(rule['rule_id'], name_of(entity), time, time, float(len(changes)), rule['severity'], None, 'firing')


RULES = {
    'auth_passkey_enumeration': passkey_enumeration,
    'auth_session_creation_velocity': session_velocity,
    'auth_rbac_denied_burst': rbac_burst,
    'signup_waitlist_velocity_per_origin': lambda r, s, upto: velocity(r, s['waitlist_signups'], 'origin', upto),
    'signup_email_pattern_anomaly': email_pattern,
    'data_audit_log_gap_window': audit_gap,
    'ops_sentry_error_rate_spike': lambda r, s, upto: velocity(r, s['error_events'], 'route', upto),
    'data_backtest_benford': benford,
    'webhook_stripe_signature_fail': signature_failures,
    'ops_dyno_restart_cluster': restart_cluster,
    'cost_heroku_addon_drift': unmatched_changes,
    'signup_geographic_burst': geographic_burst,
    'auth_login_failure_burst': lambda r, s, upto: velocity(r, s['login_failures'], 'account', upto),
}


def expected(rules, sources, upto):
    """All findings of the rules (each a row of the catalog, as a dictionary) as of upto. What has no finite time, or
    lies after upto, does not count."""
    known = {source: [r for r in rows if isinstance(r['time'], int) and r['time'] <= upto]
             for source, rows in sources.items()}
    return [f for rule in rules for f in RULES[rule['rule_id']](rule, known, upto)]
