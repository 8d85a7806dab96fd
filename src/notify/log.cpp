#include "notify/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <mutex>

#include "notify/secrets.h"

namespace raxx::notify {
namespace {

std::string_view name_of(Level level) {
    switch (level) {
        case Level::info:
            return "info";
        case Level::warning:
            return "warning";
        case Level::error:
            break;
    }
    return "error";
}

std::string now() {
    const auto time = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(time);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                       (time - seconds).count() < 0 ? 0 : (time - seconds).count());
}

// What is no UTF-8 is replaced: neither a log nor a database takes it.
std::string valid_utf8(std::string_view text) {
    return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
}

}  // namespace

std::string printable(std::string_view text, size_t most) {
    std::string result = redacted(valid_utf8(text));
    for (char& character : result) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte < 0x20 || byte == 0x7f) character = ' ';
    }
    while (!result.empty() && result.back() == ' ') result.pop_back();
    if (result.size() > most) {
        // Not within a character of several bytes.
        size_t end = most;
        while (end > 0 && (static_cast<unsigned char>(result[end]) & 0xc0U) == 0x80) --end;
        result.resize(end);
        result += "...";
    }
    return result;
}

std::string log_line(Level level, std::string_view event, std::initializer_list<Field> fields) {
    nlohmann::ordered_json line;
    line["time"] = now();
    line["level"] = name_of(level);
    line["event"] = event;
    for (const Field& field : fields) {
        if (field.value.is_string()) {
            line[std::string(field.name)] = printable(field.value.get_ref<const std::string&>(), 1000);
        } else {
            line[std::string(field.name)] = field.value;
        }
    }
    return redacted(line.dump(-1, ' ', false, json::error_handler_t::replace));
}

void log(Level level, std::string_view event, std::initializer_list<Field> fields) {
    static std::mutex mutex;
    const std::string line = log_line(level, event, fields) + "\n";
    const std::lock_guard lock(mutex);
    std::string_view rest = line;
    while (!rest.empty()) {
        const ssize_t written = write(STDERR_FILENO, rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;  // nobody to tell
        rest.remove_prefix(static_cast<size_t>(written));
    }
}

}  // namespace raxx::notify
