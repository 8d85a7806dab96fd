// Values as an application writes them before it hashes them: the text that Python makes of them, and JSON as its
// json.dumps does with sort_keys. Made from the canonical form, and so independent of every setting.
#pragma once

#include <string>
#include <string_view>

#include "core/fence.h"

namespace raxx {

enum class TimeForm : uint8_t { iso, iso_microseconds, unix_microseconds };

// By the kinds of canonical forms, and "real" for a float of four bytes.
enum class PlainKind : uint8_t {
    boolean,
    integer,
    real,
    floating,
    numeric,
    text,
    bytea,
    timestamptz,
    timestamp,
    date,
    time,
    uuid,
    network,
    cidr,
    macaddr,
    jsonb,
    none,  // there is no such text
};
[[nodiscard]] PlainKind plain_kind(std::string_view kind);

// The text of a value, from the bytes of its canonical form.
void append_plain(std::string* to, PlainKind kind, Bytes form, TimeForm times);

// The same as a value in JSON.
void append_json_value(std::string* to, PlainKind kind, Bytes form, TimeForm times);

// In quotes, with the escapes that json.dumps(..., ensure_ascii=False) makes.
void append_json_string(std::string* to, std::string_view text);

// plain_time.cpp: as datetime.isoformat() has it, beyond the years of Python by the same rule; microseconds since
// 2000-01-01, days since then, microseconds since midnight.
void append_timestamp(std::string* to, int64_t time, TimeForm form, bool utc);
void append_date(std::string* to, int64_t days);
void append_time_of_day(std::string* to, int64_t time, TimeForm form);

// plain_json.cpp: the canonical form of a jsonb.
void append_plain_json(std::string* to, Bytes form);

}  // namespace raxx
