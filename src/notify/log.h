// Lines of JSON on standard error: when, how grave, what happened, and by which ids. Texts of messages are never
// logged, and no secret can be: every line is redacted as a whole before it is written.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace raxx::notify {

using json = nlohmann::json;

enum class Level { info, warning, error };

struct Field {
    std::string_view name;
    json value;
};

void log(Level level, std::string_view event, std::initializer_list<Field> fields = {});
// The line that log() writes, without its end.
std::string log_line(Level level, std::string_view event, std::initializer_list<Field> fields);

// A text from outside, fit for a log or an error: no control characters, no secrets, not longer than that.
std::string printable(std::string_view text, size_t most = 300);

}  // namespace raxx::notify
