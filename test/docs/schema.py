#!/usr/bin/python3
"""The JSON Schema of rules (docs/rules/rule.schema.json) and the server agree: every shipped rule and every definition that is right
passes both, and what is wrong in a way that a schema can tell is refused by both. Prints lines of TAP without numbers. Needs an installed
extension, and a server in PGHOST and PGPORT."""

import copy
import json
import os
import subprocess

import jsonschema
import psycopg2

DATABASE = "raxx_rule_schema"
RIGHT = {
    "rule_id": "own_signups", "title": "t", "method": "velocity", "severity": "high", "sources": ["waitlist_signups"],
    "params": {"entity": "origin", "window": "5 minutes", "threshold": 4}, "false_alarms_per_month": 1, "escalation_owner": "operator",
    "runbook": "Look."}
BASELINE = {"baseline_window": "7 days", "params": dict(RIGHT["params"], time_zone="UTC", season="none", baseline_ready="7 days", baseline_floor=5, baseline_rows=9,
                                                        baseline_entities=9)}
FIXTURE = {"start": "2026-06-04T16:00Z", "as_of": "1 h", "sources": {"waitlist_signups": [{"at": "0 s", "origin": "o"}]}, "expect": []}


def changed(**changes):
    definition = copy.deepcopy(RIGHT)
    definition.update(changes)
    return {key: value for key, value in definition.items() if value is not None}


def params(**changes):
    return changed(params={key: value for key, value in dict(RIGHT["params"], **changes).items() if value is not None})


ACCEPTED = {
    "the least": changed(),
    "prose in lines": changed(runbook=["1", "2"]),
    "a baseline": changed(**BASELINE),
    "networks": changed(sources=["login_failures"], params=dict(RIGHT["params"], entity="ip", ipv4_prefix=32, ipv6_prefix=64)),
    "a fixture": changed(fixtures={"a": FIXTURE}),
}
REFUSED = {
    "an unknown key": changed(treshold=1),
    "no title": changed(title=None),
    "an empty title": changed(title=""),
    "a name with a space": changed(rule_id="a b"),
    "an unknown severity": changed(severity="worse"),
    "an unknown method": changed(method="velocty"),
    "sources that are no array": changed(sources="waitlist_signups"),
    "a baseline of a month": changed(baseline_window="1 month"),
    "a baseline without what it needs": changed(baseline_window="7 days"),
    "fewer false alarms than none": changed(false_alarms_per_month=-1),
    "an unknown prerequisite": changed(prerequisites=["P9"]),
    "a number for prose": changed(runbook=7),
    "an unknown parameter": params(treshold=4),
    "a parameter of another method": params(mad_threshold=0.1),
    "no threshold": params(threshold=None),
    "a threshold of none": params(threshold=0),
    "a threshold that is a text": params(threshold="4"),
    "a fraction of a row": params(threshold=4.5),
    "a window that is a number": params(window=5),
    "half of what belongs together": params(ipv4_prefix=24),
    "a prefix that is too long": params(ipv4_prefix=33, ipv6_prefix=64),
    "an unknown season": params(season="weekly"),
    "a method without baselines that has one": changed(method="pattern", baseline_window="7 days", params={
        "email": "email", "window": "5 minutes", "threshold": 8, "shape_history": "7 days", "shape_tail": 0.001}),
    "a method with baselines that has none": changed(method="spike"),
    "an unknown key of a fixture": changed(fixtures={"a": dict(FIXTURE, expects=[])}),
    "half a fixture": changed(fixtures={"a": {"start": "2026-06-04T16:00Z"}}),
    "a fixture without a name": changed(fixtures={"A b": FIXTURE}),
}


def main():
    subprocess.run(["dropdb", "--if-exists", DATABASE], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["createdb", DATABASE], check=True)
    connection = psycopg2.connect(dbname=DATABASE)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE")
    cursor.execute("SELECT raxx_detect.rule_schema()")
    schema = cursor.fetchone()[0]
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def says(definition):
        try:
            cursor.execute("SELECT raxx_detect.check_definition(%s)", [json.dumps(definition)])
            server = None
        except psycopg2.Error as error:
            server = str(error).splitlines()[0]
        wrong = next(iter(validator.iter_errors(definition)), None)
        return server, wrong and wrong.message

    def tell(right, name, *notes):
        print(("ok" if right else "not ok") + f" - {name}")
        if not right:
            for note in notes:
                print(f"# {note}")

    cursor.execute("SELECT rule_id, raxx_detect.rule_definition(rule_id) FROM raxx_detect.rules ORDER BY 1")
    for rule_id, definition in cursor.fetchall():
        server, wrong = says(definition)
        tell(server is None and wrong is None, f"schema: {rule_id}", server, wrong)
    for name, definition in ACCEPTED.items():
        server, wrong = says(definition)
        tell(server is None and wrong is None, f"schema: {name} passes", server, wrong)
    for name, definition in REFUSED.items():
        server, wrong = says(definition)
        tell(server is not None and wrong is not None, f"schema: {name} is refused", f"by the server: {server}", f"by the schema: {wrong}")
    connection.close()
    subprocess.run(["dropdb", DATABASE], check=True)


if __name__ == "__main__":
    os.environ.setdefault("PGDATABASE", "postgres")
    main()
