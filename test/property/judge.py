"""The extension under test: loads rows as they arrive, runs rules as a schedule says, and reads what was found."""

import psycopg2
import psycopg2.errors
import psycopg2.extras
from psycopg2 import sql

from naive import Finding, instant_of

# A rule's row, as the naive evaluator wants it; a finding, every column that is not an id or a time of writing.
RULE_COLUMNS = 'rule_id, params, severity::text, false_alarms_per_month'
FINDING_COLUMNS = """rule_id, source, entity, (extract(epoch FROM lower(episode)) * 1000000)::bigint AS start,
    (extract(epoch FROM upper(episode)) * 1000000)::bigint AS end, observed, severity::text, verdict, condition, threshold, unit,
    p_value, fired_by, sample_size, occurrences, escalation_owner, det_id, category, summary, evidence"""


def text_of(time):
    return time if time is None or isinstance(time, str) else instant_of(time).isoformat().replace('+00:00', 'Z')


class Database:
    """Two sessions in a database of its own. What a round leaves behind is undone by reset()."""

    def __init__(self, name, mutation=''):
        self.sessions = [psycopg2.connect(dbname=name) for _ in range(2)]
        for session in self.sessions:
            session.autocommit = True
            self.do("SET timezone = 'UTC'; SET synchronous_commit = off; SET lock_timeout = '5s'; SET client_min_messages = warning; "
                    "SET search_path = public, pg_temp", session=session)
        self.runs = 0
        psycopg2.extras.register_default_jsonb(globally=True)
        if mutation:
            self.do(mutation)
        # Rules are judged whether or not their sources are fresh and long enough: a state depends on when one looks.
        self.do("""
            UPDATE raxx_detect.rules SET prerequisites = '{}', params = params - 'activate_above';
            CREATE TABLE shipped AS SELECT * FROM raxx_detect.rules;
            SELECT raxx_detect.create_source_table(source) FROM raxx_detect.source_kinds WHERE source <> 'statement_samples'""")
        for (source,) in self.ask("SELECT source FROM raxx_detect.source_bindings"):
            self.do(f'ALTER TABLE {source} ALTER event_time DROP NOT NULL; SELECT raxx_detect.unbind_source(\'{source}\')')
        # What every run leaves behind in tables that are never empty.
        self.kept = [t for (t,) in self.ask("SELECT t FROM unnest('{heartbeat,sweeps}'::text[]) t WHERE to_regclass('raxx_detect.' || t) IS NOT NULL")]
        for table in self.kept:
            self.do(f'CREATE TABLE kept_{table} AS SELECT * FROM raxx_detect.{table}')
        self.sweeps = bool(self.ask("SELECT FROM pg_proc WHERE oid = to_regprocedure('raxx_detect.sweep(timestamptz)')"))
        self.horizon = bool(self.ask("SELECT FROM pg_proc WHERE oid = to_regprocedure('raxx_detect.horizon()')"))
        self.tables = [t for (t,) in self.ask("""
            SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'raxx_detect'::regnamespace AND c.relkind = 'r' AND c.relpersistence = 'p'
            AND (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %s', c.oid::regclass), false, true, '')))[1]::text = '0'""")]

    def do(self, statement, values=None, session=None):
        with (session or self.sessions[0]).cursor() as cursor:
            cursor.execute(statement, values)

    def ask(self, query, values=None, session=None):
        with (session or self.sessions[0]).cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def close(self):
        for session in self.sessions:
            session.close()

    def reset(self, stream):
        """As if nothing had ever been judged, with the stream's sources bound, and empty."""
        self.do("SET session_replication_role = replica; " + ''.join(f'DELETE FROM {t}; ' for t in self.tables + stream.sources)
                + ''.join(f'DELETE FROM raxx_detect.{t}; INSERT INTO raxx_detect.{t} SELECT * FROM kept_{t}; ' for t in self.kept)
                + "SET session_replication_role = origin; UPDATE raxx_detect.rules r SET state = s.state, state_reason = s.state_reason, params = s.params, "
                  "false_alarms_per_month = coalesce(nullif(%s, 0), s.false_alarms_per_month) FROM shipped s WHERE s.rule_id = r.rule_id", (stream.budget,))
        for rule, params in stream.params.items():
            if params:
                self.do('SELECT raxx_detect.set_params(%s, %s)', (rule, psycopg2.extras.Json(params)))
        for source in stream.sources:
            self.do("SELECT raxx_detect.bind_source(%s, %s, lateness => make_interval(secs => %s))", (source, source, stream.lateness / 10**6))
        self.columns = {source: [c for (c,) in self.ask("SELECT role FROM raxx_detect.source_roles WHERE source = %s AND role <> 'event_time' ORDER BY position",
                                                        (source,))] for source in stream.sources}

    def rules(self, stream):
        return [dict(zip(('rule_id', 'params', 'severity', 'false_alarms_per_month'), row))
                for row in self.ask(f'SELECT {RULE_COLUMNS} FROM raxx_detect.rules WHERE rule_id = ANY (%s)', (stream.rules,))]

    def load(self, rows, session=None):
        """rows: pairs of a number, which becomes the id, and a Row."""
        for source in {row.source for _, row in rows}:
            columns = self.columns[source]
            statement = sql.SQL('INSERT INTO {} (id, event_time, {}) OVERRIDING SYSTEM VALUE VALUES %s').format(
                sql.Identifier(source), sql.SQL(', ').join(map(sql.Identifier, columns))) if columns else sql.SQL(
                    'INSERT INTO {} (id, event_time) OVERRIDING SYSTEM VALUE VALUES %s').format(sql.Identifier(source))
            with (session or self.sessions[0]).cursor() as cursor:
                psycopg2.extras.execute_values(cursor, statement, [
                    (n, text_of(row.time), *(row.values.get(c) for c in columns)) for n, row in rows if row.source == source],
                    template='(%s, %s' + ''.join(f', %s::{type_of(c)}' for c in columns) + ')', page_size=1000)

    def run(self, rules, at, session=None):
        query = ("SELECT outcome, detail FROM raxx_detect.run_all(%s)" if rules is None else
                 "SELECT r.outcome, r.detail FROM unnest(%s) WITH ORDINALITY w(rule, n), LATERAL raxx_detect.run(w.rule, %s) r ORDER BY n")
        for outcome, detail in self.ask(query, ((text_of(at),) if rules is None else (list(rules), text_of(at))), session):
            self.runs += 1
            if outcome == 'error':
                raise AssertionError(f'a run as of {text_of(at)} failed: {detail}')

    def findings(self):
        with self.sessions[0].cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(f'SELECT {FINDING_COLUMNS} FROM raxx_detect.detection_findings ORDER BY rule_id, entity COLLATE "C", episode')
            return [dict(row) for row in cursor.fetchall()]

    def sweep(self, at):
        for outcome, detail in self.ask('SELECT outcome, detail FROM raxx_detect.sweep(%s)', (text_of(at),)):
            if outcome != 'ok':
                raise AssertionError(f'a sweep as of {text_of(at)} failed: {outcome}, {detail}')

    def judge_at_once(self, stream):
        self.reset(stream)
        self.load(list(enumerate(stream.rows)))
        self.run(stream.rules, stream.end)
        return self.findings()

    def backtest(self, rules, begin, end):
        """What backtests of the rows that are there say; findings that are there must neither help nor hinder them."""
        columns = FINDING_COLUMNS.replace("det_id, category, ", "")
        with self.sessions[0].cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(f"SELECT {columns} FROM unnest(%s) r, LATERAL raxx_detect.backtest(r, %s, %s) b(rule_id)", (rules, text_of(begin), text_of(end)))
            return [dict(row) for row in cursor.fetchall()]

    def judge(self, stream, schedule):
        """The findings at the end of a schedule, whose last run is that of stream.end."""
        self.reset(stream)
        waiting = sorted(enumerate(stream.rows), key=lambda r: r[1].arrives)
        open_for, ending, now = 0, None, stream.begin
        if stream.later:  # only what has been counted can be told from what came later
            self.run(stream.rules, stream.begin)
            self.sweep(stream.begin)
        for step in schedule.steps:
            now = max(now, step.at)
            if ending and (open_for == 0 or step.session == 1):
                self.do(ending, session=self.sessions[1])
                ending = None
            open_for -= 1
            due = next((i for i, (_, row) in enumerate(waiting) if row.arrives > now), len(waiting))
            rows, waiting = waiting[:due], waiting[due:]
            session = self.sessions[step.session]
            if step.load == 'together' or step.session == 1:
                if step.stale:
                    self.do('BEGIN ISOLATION LEVEL REPEATABLE READ', session=session)
                    self.ask('SELECT 1', session=session)
                if step.session == 1:
                    self.load(rows)
                if not step.stale:
                    self.do('BEGIN', session=session)
                if step.session == 0:
                    self.load(rows)
                self.run(step.rules, step.at, session)
                if step.session == 1:
                    ending, open_for = 'ROLLBACK' if step.abort else 'COMMIT', step.keep_open
                else:
                    self.do('COMMIT', session=session)
                continue
            for part in ([rows] if step.load == 'batch' else [[row] for row in rows]):
                self.load(part)
            self.run(step.rules, step.at)
        if ending:
            self.do(ending, session=self.sessions[1])
        self.load(waiting)
        self.run(stream.rules, stream.end)
        if stream.later:
            self.sweep(stream.end)
        return self.findings()


def type_of(column):
    return {'ip': 'inet', 'signature_valid': 'boolean', 'return_value': 'numeric', 'dyno_hours': 'float8'}.get(column, 'text')


def plain(finding):
    """A row of detection_findings as the naive evaluator would have it."""
    return Finding(finding['rule_id'], finding['entity'], finding['start'], finding['end'], finding['observed'],
                   finding['severity'], finding['verdict'], finding['condition'])
