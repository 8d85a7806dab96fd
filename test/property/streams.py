"""Streams of rows, each made from a seed: what happened, and when each row of it arrives.

Times are whole microseconds since 1970. They are put together of motifs that lie on the edges of what the rules ask:
as many rows in one window as it takes, or one fewer; rows a microsecond inside, on, and outside the window's edge;
bursts that one row joins; ties. So are the delays: none, the whole lateness, or the row comes before its own time.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple, Union

from naive import DAY, HOUR, MINUTE, SECOND

LONG = 'https://' + 'x' * 230


class Row(NamedTuple):
    source: str
    time: Union[int, str, None]  # 'infinity', '-infinity', or None for NULL
    arrives: int
    values: dict


@dataclass
class Stream:
    group: str
    rules: list  # which are judged
    sources: list
    params: dict  # of the rules
    lateness: int
    begin: int
    end: int = 0
    rows: list = field(default_factory=list)
    naive: bool = True  # judged by thresholds alone, so that the naive evaluator knows the findings
    window: int = 0  # the rules' own, for schedules that look at the edges
    hindsight: int = 0
    later: bool = False  # some rows come later than the lateness, which a sweep finds
    budget: float = 0  # false alarms a month, where it is not that of the catalog
    marks: list = field(default_factory=list)  # instants at which something changes without a row


def utc(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) * 10**6


# Around these the rows lie: ordinary hours; midnights; where business hours open and close; where New York's clocks
# go forward and back.
PLACES = [utc(t) for t in ('2024-03-05 15:00', '2024-03-06 00:00', '2024-03-06 05:00', '2024-03-04 12:00', '2024-03-08 22:30',
                           '2024-03-10 07:00', '2024-03-10 05:00', '2024-11-03 06:00', '2024-11-04 05:00', '2023-12-31 23:59')]


class Maker:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.pick = self.rng.choice
        self.place = self.pick(PLACES)

    def times(self, window, least, span):
        """A motif: the times of rows of one entity, of which about `least` within the window matter."""
        rng, pick = self.rng, self.pick
        t = pick([self.place + rng.randint(-span // 2, span // 2), self.place + rng.randint(-90, 90) * SECOND,
                  self.place + pick([-1, 0, 1, -window, window])])
        few = [t + rng.randint(0, window) for _ in range(max(0, least - 1))]
        motif = pick(['scatter', 'tie', 'edge', 'edge', 'steps', 'bridge', 'bridge', 'seconds', 'long'])
        if motif == 'scatter':
            return [self.place + rng.randint(-span // 2, span // 2) for _ in range(2 * least)]
        if motif == 'tie':
            return [t] * rng.randint(max(1, least - 1), least + 2)
        if motif == 'edge':
            return [t] + few[:max(0, least - 2)] + [t + window + pick([-1, 0, 1])] + [t + window] * pick([0, 0, 1])
        if motif == 'steps':
            step = window // pick([max(1, least - 1), least, max(1, least - 2)])
            return [t + i * step for i in range(least + rng.randint(0, 3))]
        if motif == 'bridge':  # two bursts, and rows between them that make them one
            second = t + window + rng.randint(-window // 4, window)
            bridge = [rng.randint(t, second) for _ in range(rng.randint(0, least))]
            return [t] + few + bridge + [second] + [second + rng.randint(0, window // 2) for _ in range(least - 1)]
        if motif == 'seconds':
            return [t // SECOND * SECOND + rng.randint(0, 3 * window // SECOND) * SECOND for _ in range(3 * least)]
        step = max(1, window // max(1, least - 1) + pick([-1, 0, 1, -SECOND]))
        return [t + i * step for i in range(rng.randint(least, 4 * least))]

    def delay(self, stream, style):
        rng, lateness = self.rng, stream.lateness
        if style == 'prompt':
            return 0
        kind = rng.random()
        if style == 'later' and kind < 0.3:
            stream.later = True
            return lateness + rng.randint(1, 10 * HOUR)
        if style == 'early' and kind < 0.2:
            return -rng.randint(0, 3 * HOUR)
        if style == 'bridging' and kind < 0.8:
            return 0
        return self.pick([rng.randint(0, lateness), rng.randint(0, lateness), lateness, 0])

    def add(self, stream, source, time, style, **values):
        arrives = time + self.delay(stream, style) if isinstance(time, int) else stream.begin + self.rng.randint(0, HOUR)
        stream.rows.append(Row(source, time, arrives, values))

    def forged(self, stream, source, **values):
        """What anybody may write into a time: nothing, or no time at all, or one that is far away."""
        rng = self.rng
        for time in rng.sample([None, '-infinity', 'infinity', utc('9000-01-01 00:00'), stream.begin + 400 * DAY],
                               rng.randint(0, 3)):
            for _ in range(rng.randint(1, 8)):
                arrives = self.place + rng.randint(-HOUR, HOUR)
                stream.rows.append(Row(source, time, arrives, values))

    def ancient(self, stream, source, **values):
        """Rows far in the past, which are there from the beginning."""
        if self.rng.random() < 0.4:
            old = self.pick([utc('0002-01-01 00:00'), utc('1969-12-31 23:59'), self.place - 500 * DAY, self.place - 30 * DAY])
            for _ in range(self.rng.randint(1, 8)):
                stream.rows.append(Row(source, old + self.rng.randint(0, MINUTE), stream.begin, values))

    def finish(self, stream):
        """When the last look is, and that everything has arrived by then. Some rows may lie after it."""
        rng = self.rng
        times = [r.time for r in stream.rows if isinstance(r.time, int) and abs(r.time - self.place) < 20 * DAY]
        last = max(times, default=self.place)
        stream.end = self.pick([last, last + stream.window, last + stream.window - 1, last + stream.lateness,
                                last + rng.randint(0, 3 * HOUR), rng.choice(times or [self.place]), last + stream.hindsight,
                                last + rng.randint(0, 3 * stream.window + 1)])
        stream.end = max(stream.end, stream.begin + 1)
        # What would arrive after the end does so before its time is judged, or never.
        stream.rows = [r._replace(arrives=max(stream.begin, min(r.arrives, stream.end))) for r in stream.rows]
        if stream.later:  # the hours of which are over by then
            stream.end += stream.lateness + 2 * HOUR
        rng.shuffle(stream.rows)
        return stream


def style_of(m, may_be_later=False):
    """How rows are delayed. Later than the lateness only where such rows can but add to what is found."""
    return m.pick(['prompt', 'shuffled', 'shuffled', 'bridging', 'early'] + ['later'] * (2 * may_be_later))


def start(m, group, rules, sources, params, window, span=3 * HOUR, hindsight=0, **more):
    lateness = m.pick([5 * MINUTE] * 4 + [0, SECOND, HOUR])
    return Stream(group, rules, sources, params, lateness, m.place - span - window, window=window, hindsight=hindsight, **more)


def burst_stream(m, group, rule, source, role, entities, window, extra=None, ancient=False, **params):
    """Rows of one source in bursts, for a rule that counts rows, or what `extra` adds to them."""
    threshold = m.rng.randint(1, 6)
    s = start(m, group, [rule], [source], {rule: {'threshold': threshold, 'window': f'{window // SECOND} seconds', **params}},
              window)
    style = style_of(m, may_be_later=True)
    for _ in range(m.rng.randint(2, 9)):
        entity = m.pick(entities)
        few = m.rng.randint(1, threshold + 1)
        for t in m.times(window, threshold, 3 * HOUR):
            m.add(s, source, t, style, **{role: entity}, **(extra(few) if extra else {}))
    m.forged(s, source, **{role: m.pick(entities)}, **(extra(3) if extra else {}))
    if ancient:
        m.ancient(s, source, **{role: m.pick(entities)})
    return m.finish(s)


def logins(m):
    return burst_stream(m, 'logins', 'auth_login_failure_burst', 'login_failures', 'account', ['ann', 'bob', '', None, LONG + '1', LONG + '2'],
                        m.pick([MINUTE, 10 * MINUTE]), ancient=True)


NETWORKS = ['203.0.113.7', '::ffff:203.0.113.7', '2001:db8::1', '2001:db8::2', '2001:db8:0:1::2', None]


def sessions(m):
    return burst_stream(m, 'sessions', 'auth_session_creation_velocity', 'session_events', 'ip', NETWORKS, MINUTE)


def passkeys(m):
    return burst_stream(m, 'passkeys', 'auth_passkey_enumeration', 'passkey_begin_events', 'ip', NETWORKS, m.pick([5 * MINUTE, 10 * MINUTE]),
                        lambda few: {'email': m.pick([f'u{m.rng.randint(0, 2 * few)}@example.com'] * 9 + [None, ''])})


def errors(m):
    return burst_stream(m, 'errors', 'ops_sentry_error_rate_spike', 'error_events', 'route', ['/a', '/b', '', None], MINUTE)


def denials(m):
    window, rule = 10 * MINUTE, 'auth_rbac_denied_burst'
    distinct, elevated = m.rng.randint(1, 5), m.rng.randint(1, 4)
    s = start(m, 'denials', [rule], ['rbac_denials'], {rule: {'distinct_threshold': distinct, 'elevated_threshold': elevated}}, window)
    style = style_of(m, may_be_later=True)
    for _ in range(m.rng.randint(2, 9)):
        operator = m.pick(['ops 1', 'ops 1', 'ops 2', '', None])
        share = m.pick([0, 0.3, 0.6, 1])
        for t in m.times(window, m.pick([distinct, elevated]), 3 * HOUR):
            m.add(s, 'rbac_denials', t, style, operator=operator, permission=m.pick(
                [m.pick(['a:admin', 'b:write', 'c:write']) if m.rng.random() < share else f'p{m.rng.randint(0, 2 * distinct)}:read'] * 19 + [None]))
    m.forged(s, 'rbac_denials', operator='ops 1', permission='x:admin')
    return m.finish(s)


def signups(m):
    window = 5 * MINUTE
    velocity, pattern, country = m.rng.randint(2, 6), m.rng.randint(2, 5), m.rng.randint(2, 6)
    s = start(m, 'signups', ['signup_waitlist_velocity_per_origin', 'signup_email_pattern_anomaly', 'signup_geographic_burst'],
              ['waitlist_signups'],
              {'signup_waitlist_velocity_per_origin': {'threshold': velocity}, 'signup_geographic_burst': {'threshold': country},
               'signup_email_pattern_anomaly': {'threshold': pattern, 'shape_tail': m.pick([1e-6, 1e-3, 0.01, 0.1])}}, window)
    style = style_of(m)

    def person(n, email):
        return {'email': email(n), 'origin': m.pick(['https://a.example', LONG + '1', LONG + '2', '', None]), 'country': m.pick(['DE', 'FR', '(mix)', None])}

    ordinary = lambda n: m.pick([f'first.last{n}@firm{n}.example', f'ann{n}@gmail.com', f'x@sub.firm{n % 2}.co.uk', 'no address', '@', '', None])  # noqa: E731
    # A few days of history, so that shapes have a share.
    for n in range(m.pick([0, 20, 80])):
        m.add(s, 'waitlist_signups', m.place - m.rng.randint(2 * HOUR, 4 * DAY), 'prompt', **person(n, ordinary))
    s.begin = m.place - 5 * DAY
    for _ in range(m.rng.randint(2, 7)):
        email = m.pick([lambda n: f'wave{n}@gmail.com', lambda n: f'W.ave{n}+tag@gmail.com', lambda n: f'a-{n}@gmx.de', lambda n: f'user{n}@acme.com',
                        lambda n: f'{n}@mail.acme.com', lambda n: f'{n}@shop.co.uk', ordinary])
        who = person(0, ordinary)
        for n, t in enumerate(m.times(window, m.pick([velocity, pattern, country]), 3 * HOUR)):
            m.add(s, 'waitlist_signups', t, style, **{**who, 'email': m.pick([email, email, email, ordinary])(n)})
    m.forged(s, 'waitlist_signups', **person(1, ordinary))
    return m.finish(s)


def audit(m):
    rule = 'data_audit_log_gap_window'
    s = start(m, 'audit', [rule], ['customer_audit_events', 'console_audit_events', 'operator_activity'], {}, 30 * MINUTE, span=4 * DAY)
    style = style_of(m)
    gaps = [30 * MINUTE, 60 * MINUTE, 4 * HOUR, 10 * MINUTE, 5 * HOUR]
    for source in ('customer_audit_events', 'console_audit_events'):
        t = m.place + m.rng.randint(-DAY, HOUR)
        for _ in range(m.rng.randint(0, 25)):
            m.add(s, source, t, style, operator='ann', action='read')
            step = m.pick(gaps) + m.pick([-1, 0, 1, SECOND, -MINUTE])
            if m.rng.random() < 0.3:  # in the middle of a silence
                m.add(s, source, t + m.pick([step // 2, step - 1, step - SECOND, MINUTE]), style, operator=None, action=None)
            t += m.pick([step, step, step // 2, 0])
        if m.rng.random() < 0.5:
            for edge in (12 * HOUR, 22 * HOUR + 30 * MINUTE):  # of business hours
                m.add(s, source, m.place // DAY * DAY + edge + m.pick([0, -1, 1, 30 * MINUTE, -30 * MINUTE, 30 * MINUTE + 1]), style, operator='bob', action='')
        m.forged(s, source, operator='eve', action='x')
    for _ in range(m.pick([0, 3, 10])):
        m.add(s, 'operator_activity', m.place + m.rng.randint(-DAY, DAY), style, operator=m.pick(['ann', 'bob', None]))
    return m.finish(s)


def restarts(m):
    window, margin, rule = 10 * MINUTE, 10 * MINUTE, 'ops_dyno_restart_cluster'
    threshold = m.rng.randint(1, 4)
    s = start(m, 'restarts', [rule], ['dyno_restarts', 'deploy_events'], {rule: {'threshold': threshold}}, window, hindsight=margin)
    style = style_of(m)
    for _ in range(m.rng.randint(2, 7)):
        app = m.pick(['web', 'web', 'api', '', None])
        causes = m.pick([[None], [None, 'crash'], [None, 'deploy', 'manual_scale', 'crash']])
        times = m.times(window, threshold, 3 * HOUR)
        for t in times:
            m.add(s, 'dyno_restarts', t, style, app=app, dyno=m.pick([f'web.{m.rng.randint(0, 2 * threshold)}'] * 9 + [None]), cause=m.pick(causes))
        if m.rng.random() < 0.5:
            m.add(s, 'deploy_events', m.pick(times) + m.pick([margin, -margin, margin + 1, -margin - 1, 0, m.rng.randint(-HOUR, HOUR)]), style, app=app)
    m.forged(s, 'dyno_restarts', app='web', dyno='web.1', cause=None)
    m.ancient(s, 'dyno_restarts', app='web', dyno='web.1', cause=None)
    m.forged(s, 'deploy_events', app='web')
    return m.finish(s)


def changes(m):
    tolerance, rule = 30 * MINUTE, 'cost_heroku_addon_drift'
    s = start(m, 'changes', [rule], ['addon_changes', 'change_records'], {}, tolerance, hindsight=tolerance)
    style = style_of(m)
    parts = ['web', 'api', 'a/b', '\\', '', None]
    for _ in range(m.rng.randint(1, 8)):
        app, item = m.pick(parts), m.pick(['redis', 'a/b', None])
        for t in m.times(tolerance, 2, 3 * HOUR):
            m.add(s, 'addon_changes', t, style, app=app, item=item, actor=m.pick(['ann', None]))
            if m.rng.random() < 0.6:
                m.add(s, 'change_records', t + m.pick([tolerance, -tolerance, tolerance + 1, -tolerance - 1, 0, m.rng.randint(-HOUR, HOUR)]), style,
                      app=app, item=m.pick([item, item, item, 'other']))
    m.forged(s, 'addon_changes', app='web', item='redis', actor=None)
    m.ancient(s, 'addon_changes', app='web', item='redis', actor=None)
    m.forged(s, 'change_records', app='web', item='redis')
    return m.finish(s)


def webhooks(m):
    window, rule = 10 * MINUTE, 'webhook_stripe_signature_fail'
    threshold = m.rng.randint(2, 6)
    s = start(m, 'webhooks', [rule], ['stripe_webhook_events'], {rule: {'threshold': threshold, 'baseline_floor': m.rng.randint(1, threshold)}}, window)
    style = style_of(m, may_be_later=True)
    for _ in range(m.rng.randint(2, 9)):
        valid = m.pick([[False], [False, False, True], [True], [False, None]])
        for t in m.times(window, threshold, 3 * HOUR):
            m.add(s, 'stripe_webhook_events', t, style, signature_valid=m.pick(valid))
    m.forged(s, 'stripe_webhook_events', signature_valid=False)
    return m.finish(s)


def returns(m):
    window, rule = m.pick([6 * HOUR, DAY]), 'data_backtest_benford'
    s = start(m, 'returns', [rule], ['backtest_results'],
              {rule: {'window': f'{window // HOUR} hours', 'step': m.pick(['1 hour', '30 minutes']), 'run_above': 20}}, window, span=3 * DAY)
    style = style_of(m)
    grid = m.place // HOUR * HOUR
    for _ in range(m.rng.randint(1, 4)):
        digits = m.pick(['123456789', '9', '56', '1112223456789'])
        for t in m.times(window, 25, 12 * HOUR):
            t = m.pick([t, t, grid + m.rng.randint(-4, 4) * HOUR + m.pick([-1, 0, 1])])
            m.add(s, 'backtest_results', t, style, return_value=m.pick(['', '-', '0.00']) + m.pick(digits) + str(m.rng.randint(0, 99)))
        m.add(s, 'backtest_results', t, style, return_value=m.pick(['0', 'NaN', None, 'Infinity']))
    m.forged(s, 'backtest_results', return_value='9')
    m.ancient(s, 'backtest_results', return_value='9')
    return m.finish(s)


# ---- where baselines judge: more than a week of rows -----------------------------------------------------------------

def long_stream(m, group, rules, sources, params, window, days=9):
    s = start(m, group, rules, sources, params, window, naive=False, budget=20)
    s.begin = m.place // DAY * DAY - days * DAY + m.rng.randint(0, DAY)
    # Where baselines take over: midnights, by UTC and by New York's clock in winter and summer.
    s.marks = [d * DAY + zone * HOUR + late for d in range(s.begin // DAY + 7, m.place // DAY + 2) for zone in (0, 4, 5)
               for late in (0, s.lateness)]
    return s


def usual(m, s, a_day):
    """Times of more than a week, more of them by day than by night."""
    for _ in range(a_day * 9):
        t = m.rng.randint(s.begin, m.place + 6 * HOUR)
        yield t if m.rng.random() < 0.4 else max(s.begin, t // DAY * DAY + m.rng.randint(10 * HOUR, 20 * HOUR))


def long_bursts(m, group, rules, source, params, window, a_day, least, ordinary, wave):
    s = long_stream(m, group, rules, [source], params, window)
    style = style_of(m)
    for t in usual(m, s, a_day):
        m.add(s, source, t, style, **ordinary())
    for _ in range(m.rng.randint(2, 6)):
        row = wave()
        moved = m.pick([0, 0, -DAY, -2 * DAY, 30 * MINUTE])
        for t in m.times(window, least, 8 * HOUR):
            m.add(s, source, t + moved, style, **{**ordinary(), **row})
    m.forged(s, source, **wave())
    return m.finish(s)


def long_denials(m):
    return long_bursts(m, 'denials with a baseline', ['auth_rbac_denied_burst'], 'rbac_denials', {}, 10 * MINUTE, 25, 7,
                       lambda: {'operator': m.pick(['ann', 'bob']), 'permission': f'p{m.rng.randint(0, 3)}:read'},
                       lambda: {'operator': m.pick(['ann', 'eve']), **m.pick([{}, {'permission': 'x:admin'}])})


def long_signups(m):
    return long_bursts(m, 'sign-ups with a baseline', ['signup_waitlist_velocity_per_origin', 'signup_geographic_burst', 'signup_email_pattern_anomaly'],
                       'waitlist_signups', {'signup_geographic_burst': {'mix_floor': 10, 'mix_expected': 2}}, 5 * MINUTE, 50, 8,
                       lambda: {'email': m.pick(['a1@gmail.com', 'first.last@firm.example']), 'origin': m.pick(['https://a', 'https://b', None]),
                                'country': m.pick(['DE', 'DE', 'FR', None])},
                       lambda: {'origin': m.pick(['https://a', 'https://new']), 'country': m.pick(['FR', 'BR', '(mix)'])})


def long_sessions(m):
    return long_bursts(m, 'sessions with a baseline', ['auth_session_creation_velocity'], 'session_events', {}, MINUTE, 60, 7,
                       lambda: {'ip': m.pick(NETWORKS[:3])}, lambda: {'ip': m.pick(NETWORKS[:5])})


def long_passkeys(m):
    return long_bursts(m, 'passkeys with a baseline', ['auth_passkey_enumeration'], 'passkey_begin_events', {}, 10 * MINUTE, 60, 7,
                       lambda: {'ip': m.pick(NETWORKS[:3]), 'email': f'u{m.rng.randint(0, 99)}@example.com'}, lambda: {'ip': m.pick(NETWORKS[:5])})


def long_errors(m):
    return long_bursts(m, 'errors with a baseline', ['ops_sentry_error_rate_spike'], 'error_events', {'ops_sentry_error_rate_spike': {'threshold': 9}}, MINUTE, 40, 6,
                       lambda: {'route': m.pick(['/a', '/a', '/b'])}, lambda: {'route': m.pick(['/a', '/b', '/new'])})


def long_webhooks(m):
    return long_bursts(m, 'webhooks with a baseline', ['webhook_stripe_signature_fail'], 'stripe_webhook_events', {}, 10 * MINUTE, 60, 5,
                       lambda: {'signature_valid': m.rng.random() < 0.9}, lambda: m.pick([{'signature_valid': False}, {'signature_valid': True}, {}]))


def long_mails(m):
    return long_bursts(m, 'mails', ['webhook_postmark_bounce_spike'], 'outbound_mail_events', {'webhook_postmark_bounce_spike': {'floor': 5, 'long_floor': 30}},
                       HOUR, 60, 8, lambda: {'outcome': m.pick(['sent'] * 12 + ['hard_bounce', None])}, lambda: {'outcome': m.pick(['hard_bounce', 'sent'])})


def long_dynos(m):
    s = long_stream(m, 'dynos', ['cost_dyno_hour_spike'], ['dyno_samples'], {}, HOUR)
    style = style_of(m)
    for app in ('web', 'api'):
        for t in range(s.begin, m.place + 6 * HOUR, 40 * MINUTE):
            m.add(s, 'dyno_samples', t + m.rng.randint(-MINUTE, MINUTE), style, app=app, dyno_hours=m.pick([1, 2, 2.5, 3, None, 'NaN']))
    for _ in range(m.rng.randint(1, 4)):
        app, much = m.pick(['web', 'api', 'new', None]), m.pick([4, 6, 20])
        for t in m.times(HOUR, 3, 8 * HOUR):
            m.add(s, 'dyno_samples', t, style, app=app, dyno_hours=much)
    m.forged(s, 'dyno_samples', app='web', dyno_hours=1e300)
    return m.finish(s)


def long_audit(m):
    s = long_stream(m, 'audit with a cadence', ['data_audit_log_gap_window'], ['customer_audit_events', 'operator_activity'], {}, 30 * MINUTE)
    style = style_of(m)
    silences = [(t, t + m.pick([20 * MINUTE, 70 * MINUTE, 4 * HOUR])) for t in
                (m.place + m.rng.randint(-2 * DAY, 3 * HOUR) for _ in range(m.rng.randint(1, 5)))]
    for t in usual(m, s, 120):
        if not any(a < t < b for a, b in silences):
            m.add(s, 'customer_audit_events', t, style, operator='ann', action='read')
    # Silence across the turn of a day is left out of baselines once it is found, which may be later: docs/theorem.md.
    for mark in (t for t in s.marks if t % DAY == 0):
        for t in range(mark - 20 * MINUTE, mark + s.lateness + 20 * MINUTE, 4 * MINUTE):
            m.add(s, 'customer_audit_events', t, 'prompt', operator='cron', action='beat')
    for a, b in silences:
        if m.rng.random() < 0.5:
            m.add(s, 'customer_audit_events', m.rng.randint(a, b), style, operator='ann', action='read')
        m.add(s, 'operator_activity', m.rng.randint(a, b), style, operator='bob')
    m.forged(s, 'customer_audit_events', operator='eve', action='x')
    return m.finish(s)


LONG_GROUPS = [long_denials, long_signups, long_sessions, long_passkeys, long_errors, long_webhooks, long_mails, long_dynos, long_audit]


def with_baseline(m):
    return m.pick(LONG_GROUPS)(m)


GROUPS = [denials, signups, audit, sessions, passkeys, errors, logins, restarts, changes, webhooks, returns, with_baseline]


def make(seed):
    m = Maker(seed)
    return GROUPS[seed % len(GROUPS)](m)
