// Reading a payload: what is there, in the type that is expected, cleaned; what is missing or wrong is nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "notify/render/render.h"
#include "notify/render/words.h"

namespace raxx::notify {

constexpr size_t kShort = 80;      // identifiers, names, cells of tables
constexpr size_t kEntity = 280;    // longer ones are cut and told apart by a hash before they are stored
constexpr size_t kSentence = 600;  // summaries, lines of runbooks
constexpr size_t kCommand = 2000;  // what is copied: not cut unless it is no honest command

class Fields {
  public:
    explicit Fields(const json& object) : object_(object) {}

    // As one_line makes it. Numbers and booleans have a text too.
    [[nodiscard]] std::string text(const char* name, size_t limit = kShort) const;
    [[nodiscard]] std::vector<std::string> lines(const char* name, size_t at_most) const;
    [[nodiscard]] std::optional<double> number(const char* name) const;
    [[nodiscard]] double count(const char* name) const;  // 0 if it is missing or negative
    [[nodiscard]] bool flag(const char* name) const;     // false if it is missing
    [[nodiscard]] bool has(const char* name) const;      // there, and not null
    [[nodiscard]] std::optional<Instant> time(const char* name) const;
    // As a time if it is one, otherwise as a text.
    [[nodiscard]] std::string time_or_text(const char* name) const;
    [[nodiscard]] const json& object(const char* name) const;  // an empty one if it is missing
    [[nodiscard]] const json& list(const char* name) const;    // an empty one if it is missing
    [[nodiscard]] Severity severity(const char* name = "severity") const { return severity_of(text(name)); }
    [[nodiscard]] std::string link() const;  // "" unless it is a web address

  private:
    [[nodiscard]] const json* find(const char* name) const;

    const json& object_;
};

// A value of an array, as Fields::text.
[[nodiscard]] std::string text_of(const json& value, size_t limit);

}  // namespace raxx::notify
