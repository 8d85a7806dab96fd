#!/usr/bin/env python3
"""The hash chain of docs/chain-format.md, written from that page: python3 test/golden/chain.py writes the golden values.

chain_values.csv has a value in each row, as SQL and as what it adds to the body of a row; chain_entries.csv an entry, with
all that its MAC is made from. As a module it gives canonical forms of Python's values, by kind, and MACs.
With a directory as argument it writes there; with a number and a seed after it, so many random numerics and jsonbs, too.
"""
import csv
import datetime
import hashlib
import hmac
import ipaddress
import json
import os
import random
import struct
import sys
import uuid
from decimal import Decimal

INFINITY, MINUS_INFINITY = 2 ** 63 - 1, -2 ** 63
EPOCH = datetime.datetime(2000, 1, 1)


# ---- canonical forms ------------------------------------------------------------------------------------------------

def int32(n):
    return struct.pack(">i", n)


def int64(n):
    return struct.pack(">q", n)


def len32(data):
    return int32(len(data)) + data


def microseconds(t):
    """Of a datetime, with or without a zone, a time or a timedelta; an infinity is an int already."""
    if isinstance(t, int):
        return t
    if isinstance(t, datetime.datetime):
        t = t.astimezone(datetime.timezone.utc).replace(tzinfo=None) - EPOCH if t.tzinfo else t - EPOCH
    elif isinstance(t, datetime.time):
        t = datetime.timedelta(0, (t.hour * 60 + t.minute) * 60 + t.second, t.microsecond)
    return (t.days * 86400 + t.seconds) * 10 ** 6 + t.microseconds


def numeric(n):
    """Of a Decimal (its exponent is the scale) or an int."""
    n = Decimal(n)
    if not n.is_finite():
        return str(n).encode()
    if n.as_tuple().exponent > 0:
        n = Decimal(int(n))
    text = format(n, "f")
    return (text.lstrip("-") if n == 0 else text).encode()


def float64(x):
    return struct.pack(">d", x) if x == x else bytes.fromhex("7ff8000000000000")


def network(interface):
    return bytes([interface.version, interface.network.prefixlen]) + interface.ip.packed


JSON_NULL = object()  # a jsonb that is null, which is not a column that is NULL


def jsonb(v):
    """Numbers must be int or Decimal: a float has no scale."""
    if v is None or v is JSON_NULL:
        return b"n"
    if isinstance(v, bool):
        return b"t" if v else b"f"
    if isinstance(v, (int, Decimal)):
        return b"#" + len32(numeric(v))
    if isinstance(v, str):
        return b"s" + len32(v.encode())
    if isinstance(v, list):
        return b"[" + int32(len(v)) + b"".join(jsonb(e) for e in v)
    members = sorted(((k.encode(), e) for k, e in v.items()), key=lambda m: (len(m[0]), m[0]))
    return b"{" + int32(len(members)) + b"".join(len32(k) + jsonb(e) for k, e in members)


def bits(text):
    padded = text + "0" * (-len(text) % 8)
    return int32(len(text)) + bytes(int(padded[i:i + 8], 2) for i in range(0, len(padded), 8))


FORMS = {
    "boolean": lambda v: bytes([v]),
    "integer": int64,
    "float": float64,
    "numeric": numeric,
    "text": str.encode,
    "character": lambda v: v.rstrip(" ").encode(),
    "bytea": bytes,
    "timestamptz": lambda v: int64(microseconds(v)),
    "timestamp": lambda v: int64(microseconds(v)),
    "date": lambda v: int64(v if isinstance(v, int) else (v - EPOCH.date()).days),
    "time": lambda v: int64(microseconds(v)),
    "timetz": lambda v: int64(microseconds(v)) + int32(-int(v.utcoffset().total_seconds())),
    "interval": lambda v: int32(v[0]) + int32(v[1]) + int64(v[2]),
    "uuid": lambda v: v.bytes,
    "inet": network,
    "cidr": network,
    "macaddr": bytes.fromhex,
    "macaddr8": bytes.fromhex,
    "jsonb": jsonb,
    "json": str.encode,
    "enum": str.encode,
    "bit": bits,
}


class Array(list):
    """An array of several dimensions, or of other lower bounds than 1: its elements, flat, and [(length, lower bound)]."""

    def __init__(self, elements, dimensions):
        super().__init__(elements)
        self.dimensions = dimensions


def array(kind, v):
    dimensions = getattr(v, "dimensions", [(len(v), 1)]) if v else []
    head = int32(len(dimensions)) + b"".join(int32(length) + int32(lower) for length, lower in dimensions)
    return head + b"".join(column(kind, e) for e in v)


def column(kind, v):
    """What a column adds to the body of a row."""
    if v is None:
        return b"\xff\xff\xff\xff"
    return len32(array(kind[9:], v) if kind.startswith("array of ") else FORMS[kind](v))


# ---- entries ----------------------------------------------------------------------------------------------------------

def digest(manifest):
    """Of [(name, kind)]."""
    return hashlib.sha256(b"".join(len32(name.encode()) + len32(kind.encode()) for name, kind in manifest)).digest()


def derived_key(key, key_id, chain_id, manifest):
    context = b"raxx_detect chain 1\0" + chain_id.bytes + len32(key_id.encode()) + digest(manifest)
    return hmac.new(key, context, hashlib.sha256).digest()


def mac(derived, kind, seq, prev, body):
    return hmac.new(derived, bytes([{"row": 1, "record": 2}[kind]]) + int64(seq) + prev + body, hashlib.sha256).digest()


# ---- the golden values --------------------------------------------------------------------------------------------------

D = Decimal
UTC = datetime.timezone.utc
NESTED = 0
for _ in range(64):
    NESTED = [NESTED]

# kind, SQL type, SQL text of the value, value
VALUES = [
    ("boolean", "boolean", "true", True),
    ("boolean", "boolean", "false", False),
    *[("integer", t, str(n), n) for t, low in (("smallint", -2 ** 15), ("integer", -2 ** 31), ("bigint", -2 ** 63))
      for n in (low, -1, 0, 42, -1 - low)],
    *[("float", "real", str(x), x) for x in (1.5, 3.4028234663852886e38, 1.401298464324817e-45)],
    ("float", "real", "0.1", struct.unpack("f", struct.pack("f", 0.1))[0]),
    *[("float", "double precision", str(x), x) for x in (0.1, 0.0, -0.0, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"))],
    *[("float", "real", str(x), x) for x in (-0.0, float("-inf"), float("nan"))],
    *[("numeric", "numeric", t, D(t)) for t in (
        "0", "0.0", "0.000000", "-0.00", "1", "-1", "1.5", "1.50", "-1.50", "0.1", "0.0001", "0.00001", "-0.00012345", "9", "99", "999", "9999", "10000",
        "10001", "99990000", "100000000.0000", "123456789012345678901234567890.123456789", "0.00000000000000000000000000000000012",
        "1000000000000000000000000000000000000", "12345.6789", "12345.67890", "1234.5", "0.1230", "100.00", "NaN", "Infinity", "-Infinity")],
    ("numeric", "numeric", "1e1000", D("1" + "0" * 1000)),
    ("numeric", "numeric", "-1e-1000", D("-0." + "0" * 999 + "1")),
    ("numeric", "numeric(12,2)", "7", D("7.00")),
    ("text", "text", "", ""),
    ("text", "text", "hash", "hash"),
    ("text", "text", "grüße, 世界 🎉", "grüße, 世界 🎉"),
    ("text", "text", "blanks  ", "blanks  "),
    ("text", "text", "line\nand\ttab \\ ' \"", "line\nand\ttab \\ ' \""),
    ("text", "text", "x" * 126, "x" * 126),
    ("text", "text", "x" * 127, "x" * 127),
    ("text", "varchar(20)", "varchar", "varchar"),
    ("text", "name", "a_name", "a_name"),
    ("text", "citext", "Case Kept", "Case Kept"),
    ("character", "character(8)", "ab", "ab"),
    ("character", "character(8)", "", ""),
    ("character", "character(4)", " é", " é"),
    ("bytea", "bytea", "\\x", b""),
    ("bytea", "bytea", "\\x00ff10", b"\0\xff\x10"),
    ("timestamptz", "timestamptz", "2000-01-01 00:00:00+00", datetime.datetime(2000, 1, 1, tzinfo=UTC)),
    ("timestamptz", "timestamptz", "2024-02-29 12:00:00+00", datetime.datetime(2024, 2, 29, 12, tzinfo=UTC)),
    ("timestamptz", "timestamptz", "1999-12-31 23:59:59.999999+00", datetime.datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)),
    ("timestamptz", "timestamptz", "2024-07-01 01:30:00.5+05:30",
     datetime.datetime(2024, 7, 1, 1, 30, 0, 500000, datetime.timezone(datetime.timedelta(minutes=330)))),
    ("timestamptz", "timestamptz", "infinity", INFINITY),
    ("timestamptz", "timestamptz", "-infinity", MINUS_INFINITY),
    ("timestamp", "timestamp", "2024-02-29 12:00:00.000001", datetime.datetime(2024, 2, 29, 12, 0, 0, 1)),
    ("timestamp", "timestamp", "infinity", INFINITY),
    ("timestamp", "timestamp", "-infinity", MINUS_INFINITY),
    ("date", "date", "2024-02-29", datetime.date(2024, 2, 29)),
    ("date", "date", "1970-01-01", datetime.date(1970, 1, 1)),
    ("date", "date", "infinity", INFINITY),
    ("date", "date", "-infinity", MINUS_INFINITY),
    ("time", "time", "00:00:00", datetime.time(0)),
    ("time", "time", "23:59:59.999999", datetime.time(23, 59, 59, 999999)),
    ("time", "time", "24:00:00", datetime.timedelta(1)),
    ("timetz", "timetz", "12:00:00+02:00", datetime.time(12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))),
    ("timetz", "timetz", "12:00:00-03:30", datetime.time(12, tzinfo=datetime.timezone(datetime.timedelta(minutes=-210)))),
    ("interval", "interval", "1 day", (0, 1, 0)),
    ("interval", "interval", "24:00:00", (0, 0, 86400 * 10 ** 6)),
    ("interval", "interval", "-1 year 2 mons -3 days 04:05:06.789", (-10, -3, 14706789000)),
    ("uuid", "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    *[("inet", "inet", t, ipaddress.ip_interface(t)) for t in ("192.0.2.1", "192.0.2.1/24", "0.0.0.0/0", "2001:db8::1", "2001:db8::1/64", "::ffff:192.0.2.1")],
    *[("cidr", "cidr", t, ipaddress.ip_interface(t)) for t in ("192.0.2.0/24", "2001:db8::/32")],
    ("macaddr", "macaddr", "08:00:2b:01:02:03", "08002b010203"),
    ("macaddr8", "macaddr8", "08:00:2b:01:02:03:04:05", "08002b0102030405"),
    *[("jsonb", "jsonb", t, v) for t, v in (
        ("null", JSON_NULL), ("true", True), ("false", False), ("0", 0), ("-1.50", D("-1.50")), ("1e3", 1000), ("1.0", D("1.0")), ('""', ""), ('"é"', "é"),
        ("[]", []), ("{}", {}), ("[[]]", [[]]), ("[null, true, [1, {}], \"x\"]", [None, True, [1, {}], "x"]),
        ('{"b": [1.0, null], "é": "x"}', {"b": [D("1.0"), None], "é": "x"}),
        ('{"bb": 1, "a": 2, "": 3, "ccc": {"a": 12345.678, "z": [false]}, "ab": "x"}',
         {"bb": 1, "a": 2, "": 3, "ccc": {"a": D("12345.678"), "z": [False]}, "ab": "x"}),
        ('{"zz": 1, "é": 2, "ü": 3, "z": 4, "~~~": 5}', {"zz": 1, "é": 2, "ü": 3, "z": 4, "~~~": 5}),
        ('{"a": 1, "a": 2}', {"a": 2}), ("[" * 64 + "0" + "]" * 64, NESTED),
        ("[" + ", ".join(f'"{"y" * (n % 5)}", {n}' for n in range(100)) + "]", [e for n in range(100) for e in ("y" * (n % 5), n)]),
        ("{" + ", ".join(f'"key{n}": {n}.5' for n in range(100)) + "}", {f"key{n}": D(f"{n}.5") for n in range(100)}),
    )],
    ("json", "json", '{ "a" : 1.0,  "a": 2 }', '{ "a" : 1.0,  "a": 2 }'),
    ("enum", "mood", "sehr glücklich", "sehr glücklich"),
    ("enum", "mood", "ok", "ok"),
    *[("bit", t, v, v) for t, v in (("bit(1)", "1"), ("bit(8)", "10000001"), ("bit varying", ""), ("bit varying(20)", "1010101011"))],
    ("array of integer", "integer[]", "{}", []),
    ("array of integer", "integer[]", "{1,2,3}", [1, 2, 3]),
    ("array of integer", "smallint[]", "{1,NULL,3}", [1, None, 3]),
    ("array of integer", "bigint[]", "[0:1]={7,NULL}", Array([7, None], [(2, 0)])),
    ("array of integer", "integer[]", "{{1,2,3},{4,5,6}}", Array([1, 2, 3, 4, 5, 6], [(2, 1), (3, 1)])),
    ("array of integer", "integer[]", "[-5:-5][2:3]={{1,2}}", Array([1, 2], [(1, -5), (2, 2)])),
    ("array of text", "text[]", '{a,"",NULL,"NULL","é ü"}', ["a", "", None, "NULL", "é ü"]),
    ("array of text", "varchar(3)[]", "{NULL,NULL}", [None, None]),
    ("array of boolean", "boolean[]", "{t,f,t}", [True, False, True]),
    ("array of character", "character(3)[]", "{a,abc}", ["a", "abc"]),
    ("array of numeric", "numeric[]", "{1.0,NaN,-12345.6789}", [D("1.0"), D("NaN"), D("-12345.6789")]),
    ("array of timestamptz", "timestamptz[]", '{"2000-01-01 00:00:00.000001+00",-infinity}', [1, MINUS_INFINITY]),
    ("array of uuid", "uuid[]", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", [uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("array of inet", "inet[]", "{192.0.2.1,::1/128}", [ipaddress.ip_interface("192.0.2.1"), ipaddress.ip_interface("::1")]),
    ("array of jsonb", "jsonb[]", '{"{\\"a\\": [1]}","[]"}', [{"a": [1]}, []]),
    ("array of enum", "mood[]", "{ok,NULL}", ["ok", None]),
    ("array of timetz", "timetz[]", "{00:00:01+00,00:00:02+00}",
     [datetime.time(0, 0, 1, tzinfo=UTC), datetime.time(0, 0, 2, tzinfo=UTC)]),
    ("array of interval", "interval[]", '{"1 mon","2 days"}', [(1, 0, 0), (0, 2, 0)]),
    ("array of macaddr", "macaddr[]", "{08:00:2b:01:02:03,08:00:2b:01:02:04}", ["08002b010203", "08002b010204"]),
    ("array of text", "name[]", "{a,b}", ["a", "b"]),
    ("array of bit", "bit varying[]", "{1,101010101}", ["1", "101010101"]),
    ("integer", "positive", "5", 5),
    ("array of integer", "positives", "{1,2}", [1, 2]),
    ("array of array of integer", "positives[]", '{"{1,2}","{}",NULL}', [[1, 2], [], None]),
]

KEY = bytes(range(32))
OTHER_KEY = b"another key, longer than the sixty-four bytes of a block of SHA-256, which HMAC hashes first"
CHAIN = uuid.UUID("6f1c2a34-9d0e-4b57-8c11-223344556677")
COLUMNS = [("id", "integer"), ("at", "timestamptz"), ("action", "text"), ("détails", "array of text")]
ROW = [42, datetime.datetime(2024, 2, 29, 12, tzinfo=UTC), "login", ["é", None]]


def entries():
    """A chain of its own: (manifest, key id, key, kind, seq, prev, body, mac)."""
    def body(values):
        return b"".join(column(kind, v) for (_, kind), v in zip(COLUMNS, values))

    prev = bytes(32)
    for seq, (manifest, key_id, key, kind, content) in enumerate((
            ([], "k1", KEY, "record", '{"record": "genesis"}'.encode()),
            ([], "k1", KEY, "record", '{"record": "manifest", "columns": "…"}'.encode()),
            (COLUMNS, "k1", KEY, "row", body(ROW)),
            (COLUMNS, "k1", KEY, "row", body([None] * 4)),
            (COLUMNS, "k1", KEY, "record", b""),
            (COLUMNS, "clé 2", OTHER_KEY, "row", body([-1, INFINITY, "x" * 1000, []])))):
        this = mac(derived_key(key, key_id, CHAIN, manifest), kind, seq, prev, content)
        yield manifest, key_id, key, kind, seq, prev, content, this
        prev = this


# ---- random values ------------------------------------------------------------------------------------------------------

def random_numeric(rng):
    digits = "".join(rng.choice("0000123456789") for _ in range(rng.choice([0, 1, 4, 8, rng.randint(0, 60)])))
    fraction = "".join(rng.choice("0000123456789") for _ in range(rng.choice([0, 0, 2, 4, rng.randint(1, 80)])))
    text = rng.choice(["", "-"]) + (digits.lstrip("0") or "0") + ("." + fraction if fraction else "")
    return text, Decimal(text)


def random_string(rng):
    return "".join(rng.choice('ab"\\é世🎉 \n\x01') for _ in range(rng.choice([0, 1, 2, 3, 5, 200])))


def random_jsonb(rng, depth=0):
    """As JSON text and as a value."""
    what = rng.randrange(8 if depth < 5 else 5)
    if what < 3:
        return [("null", JSON_NULL), ("true", True), ("false", False)][what]
    if what == 3:
        return random_numeric(rng)
    if what == 4:
        value = random_string(rng)
        return json.dumps(value, ensure_ascii=rng.random() < 0.5), value
    children = [random_jsonb(rng, depth + 1) for _ in range(rng.choice([0, 1, 3, 40 >> depth]))]
    if what == 5:
        return "[" + ",".join(text for text, _ in children) + "]", [v for _, v in children]
    keys = [random_string(rng) for _ in children]
    members = [json.dumps(key) + ": " + text for key, (text, _) in zip(keys, children)]
    return "{" + ", ".join(members) + "}", {key: v for key, (_, v) in zip(keys, children)}


def random_values(count, rng):
    for _ in range(count):
        yield "numeric", "numeric", *random_numeric(rng)
        yield "jsonb", "jsonb", *random_jsonb(rng)


def write(path, name, header, rows):
    with open(os.path.join(path, name), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    if len(sys.argv) > 3:
        VALUES.extend(random_values(int(sys.argv[2]), random.Random(int(sys.argv[3]))))
    write(path, "chain_values.csv", ["kind", "type", "value", "hex"],
          [(kind, type_, text, column(kind, v).hex()) for kind, type_, text, v in VALUES])
    write(path, "chain_entries.csv",
          ["chain_id", "key_id", "key", "manifest", "digest", "derived_key", "kind", "seq", "prev", "body", "mac"],
          [(CHAIN, key_id, key.hex(), ";".join(f"{n}={k}" for n, k in manifest), digest(manifest).hex(),
            derived_key(key, key_id, CHAIN, manifest).hex(), kind, seq, prev.hex(), content.hex(), this.hex())
           for manifest, key_id, key, kind, seq, prev, content, this in entries()])


if __name__ == "__main__":
    main()
