#include "notify/render/payload.h"

#include <nlohmann/json.hpp>

#include <cmath>

#include "notify/render/escape.h"

namespace raxx::notify {

std::string text_of(const json& value, size_t limit) {
    if (value.is_string()) return one_line(value.get_ref<const std::string&>(), limit);
    if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
    return value.is_number() ? number_text(value.get<double>()) : std::string();
}

const json* Fields::find(const char* name) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool Fields::has(const char* name) const { return find(name) != nullptr; }

std::string Fields::text(const char* name, size_t limit) const {
    const json* value = find(name);
    return value == nullptr ? std::string() : text_of(*value, limit);
}

std::vector<std::string> Fields::lines(const char* name, size_t at_most) const {
    const json* value = find(name);
    if (value == nullptr || !value->is_string()) return {};
    return lines_of(value->get_ref<const std::string&>(), kSentence, at_most);
}

std::optional<double> Fields::number(const char* name) const {
    const json* value = find(name);
    if (value == nullptr || !value->is_number() || !std::isfinite(value->get<double>())) return {};
    return value->get<double>();
}

double Fields::count(const char* name) const { return std::fmax(number(name).value_or(0), 0); }

bool Fields::flag(const char* name) const {
    const json* value = find(name);
    return value != nullptr && value->is_boolean() && value->get<bool>();
}

std::optional<Instant> Fields::time(const char* name) const { return parse_time(text(name)); }

std::string Fields::time_or_text(const char* name) const {
    const std::string text = this->text(name);
    const std::optional<Instant> time = parse_time(text);
    return time ? time_text(*time) : text;
}

const json& Fields::object(const char* name) const {
    static const json kNone = json::object();
    const json* value = find(name);
    return value != nullptr && value->is_object() ? *value : kNone;
}

const json& Fields::list(const char* name) const {
    static const json kNone = json::array();
    const json* value = find(name);
    return value != nullptr && value->is_array() ? *value : kNone;
}

std::string Fields::link() const {
    const json* value = find("link");
    if (value == nullptr || !value->is_string()) return {};
    const auto& address = value->get_ref<const std::string&>();
    return is_web_address(address) ? address : std::string();
}

}  // namespace raxx::notify
