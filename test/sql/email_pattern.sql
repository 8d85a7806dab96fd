-- email_pattern: the domain in lower case, the registrable domain by the public suffix list, the shape of the local part.
CREATE FUNCTION patterns(VARIADIC emails text[]) RETURNS TABLE (email text, domain text, registrable_domain text, shape text)
LANGUAGE sql AS 'SELECT e, p.* FROM unnest(emails) WITH ORDINALITY u(e, position) CROSS JOIN raxx_detect.email_pattern(e) p ORDER BY position';

-- ---- the shape: without +tag and dots, a run of letters is an a, a run of digits a 9 --------------------------------
SELECT * FROM patterns('anna@gmail.com', 'anna.k81@gmail.com', 'omar.t23@gmail.com', 'OMAR.T23@GMAIL.com', '81anna@gmail.com',
    'a1b2c3@gmail.com', 'anna+news@gmail.com', 'anna+a+b@gmail.com', 'anna.+x@gmail.com', '+only@gmail.com', '...@gmail.com', '.@gmail.com',
    'first_last@gmail.com', 'first--last@gmail.com', 'o''neil@gmail.com', '"quo ted"@gmail.com', '"a@b"@gmail.com', '1234567@qq.com', '_@gmail.com',
    '!#$%&*/=?^_`{|}~-@gmail.com');

-- ---- the domain, and what of it somebody registered ----------------------------------------------------------------
SELECT * FROM patterns('a@acme.com', 'a@mail.acme.com', 'a@a.b.c.d.acme.com', 'a@acme.co.uk', 'a@mail.acme.co.uk', 'a@MAIL.Acme.CO.UK', 'a@acme.com.',
    'a@x.co.jp', 'a@y.x.co.jp',
    -- suffixes by wildcard, and an exception of one
    'a@x.y.kawasaki.jp', 'a@city.kawasaki.jp', 'a@www.city.kawasaki.jp',
    -- a suffix itself has none; neither have a host without a domain, an address of numbers, and a name of the last label only
    'a@com', 'a@co.uk', 'a@localhost', 'a@192.0.2.1', 'a@[192.0.2.1]', 'a@[IPv6:2001:db8::1]',
    -- a last label that the list does not know is a suffix
    'a@host.corp', 'a@mail.host.corp',
    -- parts of the list for which a company lets others register names
    'a@someone.github.io', 'a@www.someone.github.io',
    'a@under_score.acme.com', 'a@-acme-.com');

-- ---- what is not an address has none -------------------------------------------------------------------------------
SELECT email, domain IS NULL AND registrable_domain IS NULL AND shape IS NULL AS nothing
FROM patterns('', '@', 'anna', 'anna@', '@gmail.com', 'anna@@', 'anna@.', 'anna@..', 'anna@.com', 'anna@gmail..com', 'anna@gmail.com..', 'anna@gm ail.com',
    ' @ ', 'anna@gmail.com ' || chr(9), 'anna@gmail,com', 'anna@gmail.com/x', 'anna@[', 'anna@[]', 'anna@[x y]', 'anna@a[b]', 'anna@' || chr(9) || 'gmail.com',
    'anna@gmail.com' || chr(10));
SELECT (raxx_detect.email_pattern(NULL)).* ;
-- A second @ belongs to the local part; spaces at the end are the padding of a char(n).
SELECT * FROM patterns('anna@home@gmail.com', 'anna @gmail.com', 'anna@gmail.com   ');

-- ---- lengths: a label up to 63, a domain up to 253, shapes cut at 127 ----------------------------------------------
SELECT length(domain) AS domain, length(registrable_domain) AS registrable, length(shape) AS shape
FROM patterns('a@' || repeat('x', 63) || '.com', 'a@' || repeat('x', 64) || '.com',
    'a@' || repeat('x.', 124) || '.com', 'a@' || repeat('x.', 124) || 'y.com', 'a@' || repeat('x.', 124) || 'yz.com', 'a@' || repeat('x.', 124) || 'y.com.',
    repeat('a_', 100) || '@gmail.com', repeat('a1', 63) || '@gmail.com', repeat('a', 1000000) || '@gmail.com', 'a@' || repeat('gmail.com', 100000));

-- ---- international names: lower case, in the form that looks compatible ones up as one ------------------------------
SELECT name, p.domain = expected AS as_expected, p.registrable_domain = registrable AS registrable, p.shape
FROM (VALUES
    ('u-umlaut', U&'j\00F6rg@M\00DCNCHEN.de', U&'m\00FCnchen.de', U&'m\00FCnchen.de'),
    ('decomposed u-umlaut', U&'j@MU\0308NCHEN.de', U&'m\00FCnchen.de', U&'m\00FCnchen.de'),
    ('full-width', U&'\FF41@mail.\FF47\FF4D\FF41\FF49\FF4C.com', 'mail.gmail.com', 'gmail.com'),
    ('suffix of its own script', U&'a@www.\98DF\72EE.\516C\53F8.cn', U&'www.\98DF\72EE.\516C\53F8.cn', U&'\98DF\72EE.\516C\53F8.cn'),
    ('punycode stays', 'a@xn--mnchen-3ya.de', 'xn--mnchen-3ya.de', 'xn--mnchen-3ya.de'),
    ('letters of any script', U&'\4F60\597D1@gmail.com', 'gmail.com', 'gmail.com')) v(name, email, expected, registrable)
CROSS JOIN raxx_detect.email_pattern(v.email) p;
-- What becomes an @ or a slash on the way is no name of a domain, nor is what grows too long or has a control character.
SELECT p.domain IS NULL AS nothing
FROM unnest(ARRAY[U&'a@x\FF20y.com', U&'a@x\FF0Fy.com', U&'a@' || repeat(U&'\FDFA', 80) || '.com', U&'a@x\0085y.com']) e
CROSS JOIN raxx_detect.email_pattern(e) p;

-- ---- the method: counts by domain and by shape at a domain -----------------------------------------------------------
CREATE TABLE signups AS
SELECT timestamptz '2024-03-05 12:00Z' + n * interval '10 seconds' AS at,
       CASE WHEN n <= 4 THEN 'user' || n || '@mail' || n || '.acme.co.uk' WHEN n <= 8 THEN chr(96 + n) || '.x' || n || '@gmail.com'
            WHEN n <= 10 THEN 'not an address' ELSE NULL END AS email
FROM generate_series(1, 12) n;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT * FROM raxx_detect.episodes('email_pattern', 'signups', 'at', 'email', NULL, NULL, NULL, NULL, '1 minute', 4, '-infinity', 'infinity');
-- The same counts for anything that has the text of an address, whatever its type.
CREATE DOMAIN address AS varchar(100);
CREATE TYPE mailbox AS ENUM ('a1@acme.com', 'b2@acme.com');
CREATE TABLE typed AS
SELECT at, email::address AS as_domain, email::char(60) AS as_bpchar, email::name AS as_name,
       (ARRAY['a1@acme.com', 'b2@acme.com']::mailbox[])[1 + length(email) % 2] AS as_enum
FROM signups;
SELECT entity, peak FROM raxx_detect.episodes('email_pattern', 'typed', 'at', 'as_domain', NULL, NULL, NULL, NULL, '1 minute', 4, '-infinity', 'infinity');
SELECT entity, peak FROM raxx_detect.episodes('email_pattern', 'typed', 'at', 'as_name', NULL, NULL, NULL, NULL, '1 minute', 4, '-infinity', 'infinity');
SELECT entity, peak FROM raxx_detect.episodes('email_pattern', 'typed', 'at', 'as_bpchar', NULL, NULL, NULL, NULL, '1 minute', 4, '-infinity', 'infinity');
SELECT entity, peak FROM raxx_detect.episodes('email_pattern', 'typed', 'at', 'as_enum', NULL, NULL, NULL, NULL, '1 minute', 4, '-infinity', 'infinity');
-- Filtered: LIKE any of the patterns, on a column of any type.
SELECT entity, peak, sample_size FROM raxx_detect.episodes('velocity', 'typed', 'at', 'as_enum', NULL, 'as_enum', '{a%,nobody}', NULL, '1 minute', 1, '-infinity', 'infinity');
SELECT count(*) FROM raxx_detect.episodes('velocity', 'typed', 'at', 'as_enum', NULL, 'as_enum', '{}', NULL, '1 minute', 1, '-infinity', 'infinity');

DROP TABLE signups, typed;
DROP DOMAIN address;
DROP TYPE mailbox;
DROP FUNCTION patterns;
