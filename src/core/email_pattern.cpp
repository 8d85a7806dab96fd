// Everything happens in buffers of fixed size; only lower-casing an internationalised name, of at most 253 bytes,
// leaves them for libpsl and its Unicode tables.
#include "core/email_pattern.h"

#include <libpsl.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace raxx {
namespace {

constexpr size_t kLongestDomain = 253;
constexpr size_t kLongestLabel = 63;

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

template <size_t size>
void assign(std::string_view text, char (&buffer)[size]) {
    const size_t length = std::min(text.size(), size - 1);
    std::memcpy(buffer, text.data(), length);
    buffer[length] = '\0';
}

// Well-formed as in table 3-7 of the Unicode standard, and without control characters.
bool is_utf8(std::string_view text) {
    const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    for (size_t i = 0; i < text.size();) {
        const unsigned first = byte(i);
        size_t length = 1;
        unsigned lowest = 0x80;
        unsigned highest = 0xBF;
        if (first >= 0xC2 && first <= 0xDF) {
            length = 2;
            if (first == 0xC2) lowest = 0xA0;
        } else if (first >= 0xE0 && first <= 0xEF) {
            length = 3;
            if (first == 0xE0) lowest = 0xA0;
            if (first == 0xED) highest = 0x9F;
        } else if (first >= 0xF0 && first <= 0xF4) {
            length = 4;
            if (first == 0xF0) lowest = 0x90;
            if (first == 0xF4) highest = 0x8F;
        } else if (first >= 0x80 || first < 0x20 || first == 0x7F) {
            return false;
        }
        for (size_t k = 1; k < length; ++k) {
            if (byte(i + k) < lowest || byte(i + k) > highest) return false;
            lowest = 0x80;
            highest = 0xBF;
        }
        i += length;
    }
    return true;
}

// "[192.0.2.1]", "[IPv6:2001:db8::1]"
bool is_host_literal(std::string_view text) {
    if (text.size() < 3 || text.front() != '[' || text.back() != ']') return false;
    const std::string_view address = text.substr(1, text.size() - 2);
    return std::all_of(address.begin(), address.end(),
                       [](char c) { return is_letter(c) || is_digit(c) || c == '.' || c == ':' || c == '-'; });
}

// Labels of letters, digits, '-', '_' and what is not ASCII, of which only ASCII ones have a length known here.
bool is_dns_name(std::string_view text) {
    size_t length = 0;
    bool ascii = true;
    for (const char c : text) {
        if (c == '.') {
            if (length == 0 || (ascii && length > kLongestLabel)) return false;
            length = 0;
            ascii = true;
            continue;
        }
        if (is_ascii(c) && !is_letter(c) && !is_digit(c) && c != '-' && c != '_') return false;
        ascii = ascii && is_ascii(c);
        ++length;
    }
    return length > 0 && !(ascii && length > kLongestLabel);
}

// Lower case in Unicode's compatibility form. That turns full-width characters into ordinary ones, '.', '@' and '/'
// among them, and makes some names eleven times as long: what comes back is checked like what came.
bool lower_utf8(std::string_view text, char (&domain)[sizeof EmailPattern::domain]) {
    assign(text, domain);
    char* lowered = nullptr;
    const psl_error_t outcome = psl_str_to_utf8lower(domain, "utf-8", nullptr, &lowered);
    const std::unique_ptr<char, decltype(&psl_free_string)> owner(lowered, psl_free_string);
    domain[0] = '\0';
    if (outcome != PSL_SUCCESS || lowered == nullptr) return false;
    const std::string_view name = lowered;
    if (name.size() > kLongestDomain || !is_dns_name(name)) return false;
    assign(name, domain);
    return true;
}

}  // namespace

bool normal_domain(std::string_view text, char (&domain)[sizeof EmailPattern::domain]) {
    domain[0] = '\0';
    if (text.ends_with('.')) text.remove_suffix(1);
    if (text.empty() || text.size() > kLongestDomain) return false;
    if (!std::all_of(text.begin(), text.end(), is_ascii)) return is_utf8(text) && lower_utf8(text, domain);
    if (!is_dns_name(text) && !is_host_literal(text)) return false;
    *std::transform(text.begin(), text.end(), domain, lower) = '\0';
    return true;
}

void registrable_domain(const char* domain, char (&registrable)[sizeof EmailPattern::registrable_domain]) {
    registrable[0] = '\0';
    const std::string_view name = domain;
    const std::string_view last_label = name.substr(name.rfind('.') + 1);
    // Of 192.0.2.1 the list would make 2.1, since it takes every unknown last label for a suffix.
    if (name.starts_with('[') || std::all_of(last_label.begin(), last_label.end(), is_digit)) return;
    const psl_ctx_t* list = psl_builtin();
    const char* found = list == nullptr ? nullptr : psl_registrable_domain(list, domain);
    if (found != nullptr) assign(found, registrable);
}

void local_shape(std::string_view local, char (&shape)[sizeof EmailPattern::shape]) {
    size_t length = 0;
    for (const char c : local.substr(0, local.find('+'))) {
        if (c == '.') continue;
        char kind = c;
        if (is_letter(c) || !is_ascii(c)) kind = 'a';
        if (is_digit(c)) kind = '9';
        if (length > 0 && shape[length - 1] == kind) continue;
        if (length + 1 == sizeof shape) break;
        shape[length++] = kind;
    }
    shape[length] = '\0';
}

void email_pattern(Bytes email, EmailPattern* result) noexcept {
    *result = {};
    std::string_view text(reinterpret_cast<const char*>(email.data), email.size);
    while (text.ends_with(' ')) text.remove_suffix(1);  // the padding of a char(n)
    const size_t at = text.rfind('@');
    if (at == std::string_view::npos || at == 0) return;
    if (!normal_domain(text.substr(at + 1), result->domain)) return;
    registrable_domain(result->domain, result->registrable_domain);
    local_shape(text.substr(0, at), result->shape);
}

}  // namespace raxx
