#include "core/plain_form.h"

#include <arpa/inet.h>

#include <bit>
#include <charconv>
#include <cmath>

#include "core/hex.h"

namespace raxx {
namespace {

struct NamedKind {
    std::string_view name;
    PlainKind kind;
};

constexpr NamedKind kKinds[] = {
    {"boolean", PlainKind::boolean},
    {"integer", PlainKind::integer},
    {"real", PlainKind::real},
    {"float", PlainKind::floating},
    {"numeric", PlainKind::numeric},
    {"text", PlainKind::text},
    {"character", PlainKind::text},
    {"json", PlainKind::text},
    {"enum", PlainKind::text},
    {"bytea", PlainKind::bytea},
    {"timestamptz", PlainKind::timestamptz},
    {"timestamp", PlainKind::timestamp},
    {"date", PlainKind::date},
    {"time", PlainKind::time},
    {"uuid", PlainKind::uuid},
    {"inet", PlainKind::network},
    {"cidr", PlainKind::cidr},
    {"macaddr", PlainKind::macaddr},
    {"macaddr8", PlainKind::macaddr},
    {"jsonb", PlainKind::jsonb},
};

int64_t int64_of(Bytes form) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < form.size; ++i) value = value << 8 | form.data[i];
    return static_cast<int64_t>(value);
}

double double_of(Bytes form) { return std::bit_cast<double>(int64_of(form)); }

std::string_view text_of(Bytes form) { return {reinterpret_cast<const char*>(form.data), form.size}; }

void append_integer(std::string* to, int64_t value) {
    char text[24];
    to->append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

// The shortest digits that give the number again, laid out by the rule of Python's repr().
template <class Float>
void append_finite(std::string* to, Float value) {
    char text[32];
    const char* end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
    std::string_view shortest(text, static_cast<size_t>(end - text));
    if (shortest.front() == '-') {
        to->push_back('-');
        shortest.remove_prefix(1);
    }
    const size_t e = shortest.find('e');
    int exponent = 0;
    std::from_chars(shortest.data() + e + (shortest[e + 1] == '+' ? 2 : 1), end, exponent);
    if (exponent < -4 || exponent >= 16) {
        to->append(shortest);
        return;
    }
    std::string digits(shortest.substr(0, 1));
    if (e > 2) digits.append(shortest.substr(2, e - 2));
    if (exponent < 0) {
        to->append("0.").append(static_cast<size_t>(-exponent - 1), '0').append(digits);
        return;
    }
    const auto whole = static_cast<size_t>(exponent) + 1;
    if (digits.size() < whole) digits.append(whole - digits.size(), '0');
    to->append(digits, 0, whole).push_back('.');
    to->append(digits.size() == whole ? "0" : digits.substr(whole));
}

// repr() and json.dumps() call what is not finite by other names.
void append_float(std::string* to, PlainKind kind, double value, bool json) {
    if (std::isnan(value)) {
        to->append(json ? "NaN" : "nan");
    } else if (std::isinf(value)) {
        to->append(value < 0 ? "-" : "").append(json ? "Infinity" : "inf");
    } else if (kind == PlainKind::real) {
        append_finite(to, static_cast<float>(value));
    } else {
        append_finite(to, value);
    }
}

// family, length of the prefix, address: as the server shows it.
void append_network(std::string* to, Bytes form, bool always_prefix) {
    const bool ipv4 = form.data[0] == 4;
    const unsigned char* address = form.data + 2;
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(ipv4 ? AF_INET : AF_INET6, address, text, sizeof text);
    to->append(text);
    if (!always_prefix && form.data[1] == (ipv4 ? 32 : 128)) return;
    to->push_back('/');
    append_integer(to, form.data[1]);
}

void append_macaddr(std::string* to, Bytes form) {
    for (uint32_t i = 0; i < form.size; ++i) {
        if (i > 0) to->push_back(':');
        to->append(hex(form.data + i, 1));
    }
}

bool is_bare(PlainKind kind, Bytes form, TimeForm times) {
    switch (kind) {
        case PlainKind::boolean:
        case PlainKind::integer:
        case PlainKind::jsonb:
            return true;
        case PlainKind::timestamptz:
        case PlainKind::timestamp:
            // A number has no infinity.
            return times == TimeForm::unix_microseconds && int64_of(form) != INT64_MAX &&
                   int64_of(form) != INT64_MIN;
        default:
            return false;
    }
}

}  // namespace

PlainKind plain_kind(std::string_view kind) {
    for (const NamedKind& known : kKinds) {
        if (known.name == kind) return known.kind;
    }
    return PlainKind::none;
}

bool has_plain_form(const char* kind) noexcept { return plain_kind(kind) != PlainKind::none; }

void append_plain(std::string* to, PlainKind kind, Bytes form, TimeForm times) {
    switch (kind) {
        case PlainKind::boolean:
            to->append(form.data[0] != 0 ? "true" : "false");
            return;
        case PlainKind::integer:
            return append_integer(to, int64_of(form));
        case PlainKind::real:
        case PlainKind::floating:
            return append_float(to, kind, double_of(form), false);
        case PlainKind::numeric:
        case PlainKind::text:
            to->append(text_of(form));
            return;
        case PlainKind::bytea:
            to->append(hex(form.data, form.size));
            return;
        case PlainKind::timestamptz:
        case PlainKind::timestamp:
            return append_timestamp(to, int64_of(form), times, kind == PlainKind::timestamptz);
        case PlainKind::date:
            return append_date(to, int64_of(form));
        case PlainKind::time:
            return append_time_of_day(to, int64_of(form), times);
        case PlainKind::uuid:
            to->append(uuid_text(form.data));
            return;
        case PlainKind::network:
        case PlainKind::cidr:
            return append_network(to, form, kind == PlainKind::cidr);
        case PlainKind::macaddr:
            return append_macaddr(to, form);
        case PlainKind::jsonb:
            return append_plain_json(to, form);
        case PlainKind::none:
            break;
    }
}

void append_json_value(std::string* to, PlainKind kind, Bytes form, TimeForm times) {
    if (kind == PlainKind::real || kind == PlainKind::floating)
        return append_float(to, kind, double_of(form), true);
    if (is_bare(kind, form, times)) return append_plain(to, kind, form, times);
    if (kind == PlainKind::text) return append_json_string(to, text_of(form));
    to->push_back('"');  // nothing in the others needs an escape
    append_plain(to, kind, form, times);
    to->push_back('"');
}

}  // namespace raxx
