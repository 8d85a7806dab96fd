# Writes rows with values that are hard to write down, by the writer that a page of the manual shows.
#   declared_writer.py PAGE DSN KEY TABLE ENCODING DIGEST ROWS SEED [rollbacks]     KEY: hexadecimal, or none for plain SHA-256
import random
import re
import sys
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import psycopg2

page, dsn, key, table, encoding, digest, rows, seed, *rollbacks = sys.argv[1:]
writer = {}
for block in re.findall(r'^```python\n(.*?)^```$', open(page, encoding='utf-8').read(), re.S | re.M):
    exec(block, writer)

chance = random.Random(int(seed))
AWKWARD = ['', ' ', '|', 'a|b', '||', '\\', '\\|', '\\N', '\\\\N', 'NULL', 'null', '"', "'", '""', 'é', 'e\u0301', '😀', '\u2028', '\ufeff', '\x7f', 'ß|Ω', '\n', '\r\n',
           '\t', ' x ', '{"a":1}', '0', 'infinity', 'x' * 20000, ''.join(map(chr, range(1, 32)))]
ZONES = [timezone.utc, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12, minutes=-30))]


def maybe(value):
    return None if chance.random() < 0.15 else value


def awkward():
    return chance.choice(AWKWARD) + chance.choice(AWKWARD) if chance.random() < 0.7 else ''.join(
        chance.choice('|\\N"é😀a,:{}\x01') for _ in range(chance.randrange(30)))


def moment():
    micros = chance.choice([0, 1, 500000, 999999, chance.randrange(10**6)])
    edge = [datetime(1, 1, 2), datetime(9999, 12, 30), datetime(1969, 12, 31, 23, 59, 59), datetime(1999, 12, 31, 23, 59, 59), datetime(2000, 2, 29), datetime(1900, 3, 1)]
    return (chance.choice(edge) if chance.random() < 0.4 else datetime(2024, 1, 1) + timedelta(seconds=chance.randrange(10**8))).replace(microsecond=micros)


def document(depth=3):
    if depth and chance.random() < 0.6:
        if chance.random() < 0.5:
            return [document(depth - 1) for _ in range(chance.randrange(4))]
        return {awkward(): document(depth - 1) for _ in range(chance.randrange(5))}
    return chance.choice([None, True, False, 0, -1, 10**30, 1.5, 0.25, 123456.789, awkward(), 'b', 'aa'])


def row():
    zone = chance.choice(ZONES)
    at = moment().replace(tzinfo=zone)
    return {
        'at': maybe(at if chance.random() < 0.9 else chance.choice(['infinity', '-infinity'])),
        'clock': maybe(moment()),
        'actor': maybe(awkward()),
        'action': maybe(awkward()[:40]),
        'code': maybe(chance.choice(['', 'ab', 'é', 'abcde'])),
        'n': maybe(chance.choice([0, -1, 2**63 - 1, -2**63, chance.randrange(10**9)])),
        'small': maybe(chance.choice([32767, -32768, 7])),
        'ok': maybe(chance.random() < 0.5),
        'amount': maybe(chance.choice([Decimal('1.50'), Decimal('0.0000001'), Decimal('-12345678901234567890.5'), Decimal('0'), Decimal('NaN'), Decimal(10) ** 40])),
        'ratio': maybe(chance.choice([0.1, 1e16, 1e15, 1e-4, 1e-5, 1e22, 5e-324, 1.7976931348623157e308, 1 / 3, 0.0, -2.5, float('inf'), float('-inf'), float('nan'), chance.random() * 10 ** chance.randrange(-20, 30)])),
        'weight': maybe(chance.choice([0.1, 1.5, 16777216.0, 3.4e38, 1e-10])),
        'day': maybe(chance.choice([date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29), date(2023, 3, 1)])),
        'tod': maybe(chance.choice([time(0, 0), time(23, 59, 59, 999999), time(12, 30, 0, 5)])),
        'uid': maybe(str(uuid.UUID(int=chance.getrandbits(128)))),
        'addr': maybe(chance.choice(['192.0.2.1', '192.0.2.0/24', '::1', '::', '2001:db8::ff', '2001:db8:0:1::/64', '::ffff:192.0.2.1', '1:0:0:2::3', '0.0.0.0/0'])),
        'net': maybe(chance.choice(['10.0.0.0/8', '192.0.2.1/32', '2001:db8::/32'])),
        'mac48': maybe('08:00:2b:01:02:ff'),
        'label': maybe(chance.choice(['new', "it's | done"])),
        'blob': maybe(bytes(chance.randrange(256) for _ in range(chance.randrange(40)))),
        'details': document() if chance.random() < 0.1 else {awkward(): document() for _ in range(chance.randrange(6))},
        'text_json': maybe('{ "b" : 1, "a":"é" }'),
    }


messages = {'separated': writer['separated'], 'length_prefixed': writer['length_prefixed'], 'json': writer['json_message']}
connection = psycopg2.connect(dsn)
connection.set_client_encoding('UTF8')
cursor = connection.cursor()
for count in range(int(rows)):
    if count % 10 == 0:
        connection.rollback() if rollbacks and count % 30 == 20 else connection.commit()
    values = row()
    if not isinstance(values['details'], (dict, list)):
        values['details'] = {}
    columns = ['seq'] + list(values)
    writer['append'](cursor, table, values, lambda r, prev: messages[encoding](r, prev, columns), bytes.fromhex(key) if key != 'none' else None, digest)
connection.commit()
