// What a message says, before it is known where it goes: a headline and blocks, which text.cpp, html.cpp, slack.cpp
// and markdown.cpp write in their ways. All texts in it are clean and bounded (escape.h) and none is escaped yet:
// that is the writers' work, and theirs alone.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "notify/render/chart.h"
#include "notify/render/render.h"
#include "notify/render/words.h"

namespace raxx::notify {

// Of a section.
struct Heading {
    std::string text;
};

// Begins a finding among others; it ends at the next card or heading.
struct Card {
    Severity severity = Severity::unknown;
    std::string badge;
    std::string title;
};

enum class Weight { lead, plain, quiet };

struct Paragraph {
    std::string text;
    Weight weight = Weight::plain;
};

struct Facts {
    std::vector<std::pair<std::string, std::string>> rows;  // label, value
};

struct Steps {
    std::string title;
    std::vector<std::string> lines;
    bool numbered = true;
    std::string more;  // a sentence on what is left out
};

// To be copied: character for character, on lines of its own.
struct Code {
    std::string title;
    std::vector<std::string> lines;
};

struct Table {
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;
    std::vector<size_t> numbers;  // the columns of numbers
    std::string more;
};

struct Chart {
    Series series;
    std::string name;  // of the picture: letters, digits, full stops, hyphens
};

struct Link {
    std::string text;
    std::string address;
};

using Block = std::variant<Heading, Card, Paragraph, Facts, Steps, Code, Table, Chart, Link>;

// How much a reader wants: a push message and a log entry are brief, a mail is full.
enum class Detail { brief, full };

struct Document {
    Severity severity = Severity::unknown;
    bool over = false;     // nothing burns: drawn calmly
    std::string headline;  // one line for a list of messages
    std::string badge;     // one or two words in capitals
    std::string title;
    std::string reference;  // quiet last line: which finding of which rule
    std::vector<Block> blocks;
};

// Throws std::runtime_error that names "version" or "event" if that is missing.
[[nodiscard]] Document document_of(const json& payload, Detail detail);

// By event; document_of chooses.
[[nodiscard]] Document finding_document(const json& payload, Detail detail);
[[nodiscard]] Document storm_document(const json& payload);
[[nodiscard]] Document dead_letter_document(const json& payload, Detail detail, int depth);
[[nodiscard]] Document digest_document(const json& payload);

// Shared by the documents: adds a block unless there is nothing in it.
void add_fact(Facts* facts, const char* label, std::string value);
void add_code(Document* document, const char* title, std::string line);
void add_link(Document* document, const char* text, std::string address);

// "Still going on. It began ...", by the event, the condition and the episode.
[[nodiscard]] std::string state_sentence(const json& finding);
// "60 rows; the limit is 20 (3 times as much)"
[[nodiscard]] std::string amount_sentence(const json& finding);
// The line of a runbook without its number or hyphen.
[[nodiscard]] std::string without_mark(const std::string& line);

// ---- writers ----------------------------------------------------------------------------------------------------

[[nodiscard]] std::string text_from(const Document& document, bool possible_repeat);
[[nodiscard]] std::string html_from(const Document& document, bool possible_repeat, std::vector<Picture>* pictures);
[[nodiscard]] json slack_from(const Document& document, bool possible_repeat);
[[nodiscard]] std::string markdown_from(const Document& document, bool possible_repeat, const std::string& key);
// A table as lines of aligned columns.
[[nodiscard]] std::vector<std::string> table_lines(const Table& table, size_t columns);

// What is said of a message that may have been sent before.
constexpr const char* kPossibleRepeat =
    "Possible repeat: an earlier attempt to send this message may have arrived.";

}  // namespace raxx::notify
