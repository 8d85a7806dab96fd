#include "core/declared_format.h"

#include <array>
#include <nlohmann/json.hpp>

#include "core/hex.h"

namespace raxx {
namespace {

using nlohmann::json;

constexpr size_t kMostText = size_t{1} << 20;

[[noreturn]] void refuse(const std::string& detail) {
    throw Failure{sqlstate::kInvalidParameter, "the format of a chain is not valid", detail,
                  "It is made by raxx_detect.chain_declare."};
}

// A text, or NULL as nothing.
std::string text_of(const json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return {};
    if (!found->is_string()) refuse(std::string("\"") + name + "\" is not a text.");
    return found->get<std::string>();
}

template <class Choice, size_t kCount>
Choice choice_of(const json& object, const char* name, const std::array<const char*, kCount>& choices) {
    const std::string text = text_of(object, name);
    for (size_t i = 0; i < kCount; ++i) {
        if (text == choices[i]) return static_cast<Choice>(i);
    }
    refuse(std::string("\"") + name + "\" is none of what it can be.");
}

std::vector<DeclaredColumn> columns_of(const json& whole) {
    std::vector<DeclaredColumn> columns;
    const auto found = whole.find("columns");
    if (found == whole.end() || !found->is_array()) refuse("\"columns\" is not an array.");
    for (const json& column : *found) {
        if (!column.is_object()) refuse("A column is not an object.");
        columns.push_back({text_of(column, "name"), text_of(column, "kind")});
    }
    return columns;
}

// A MAC of bytes is declared by its hexadecimal digits.
std::string genesis_of(const json& whole, DeclaredDigest digest) {
    std::string text = text_of(whole, "genesis");
    if (digest != DeclaredDigest::bytes) return text;
    std::string bytes(text.size() / 2, '\0');
    if (!parse_hex(text, reinterpret_cast<unsigned char*>(bytes.data()), bytes.size()))
        refuse("\"genesis\" is not hexadecimal.");
    return bytes;
}

json parse(std::string_view text) {
    if (text.size() > kMostText) refuse("It is longer than 1 MB.");
    json whole = json::parse(text, nullptr, false);
    if (!whole.is_object()) refuse("It is not a JSON object.");
    return whole;
}

}  // namespace

DeclaredFormat parse_declared_format(std::string_view text) {
    const json whole = parse(text);
    DeclaredFormat format = {};
    const std::string prev = text_of(whole, "prev");
    format.has_prev = !prev.empty();
    format.prev_name = format.has_prev ? prev : "prev";
    format.gaps = whole.value("gaps", json()) == json(true);
    format.columns = columns_of(whole);
    format.encoding =
        choice_of<DeclaredEncoding, 4>(whole, "encoding", {"separated", "length_prefixed", "json", "canonical"});
    format.separator = text_of(whole, "separator");
    format.escape = text_of(whole, "escape");
    format.null_text = text_of(whole, "null");
    format.prev_position = choice_of<PrevPosition, 3>(whole, "prev_position", {"first", "last", "none"});
    format.algorithm = choice_of<DeclaredAlgorithm, 2>(whole, "algorithm", {"hmac-sha256", "sha256"});
    format.key = text_of(whole, "key");
    format.digest = choice_of<DeclaredDigest, 3>(whole, "digest", {"hex", "base64", "bytes"});
    format.genesis = genesis_of(whole, format.digest);
    format.timestamps =
        choice_of<TimeForm, 3>(whole, "timestamps", {"iso", "iso_microseconds", "unix_microseconds"});
    return format;
}

}  // namespace raxx
