// Which document an event is, and what documents share.
#include "notify/render/document.h"

#include <nlohmann/json.hpp>

#include <stdexcept>

#include "notify/render/escape.h"
#include "notify/render/payload.h"

namespace raxx::notify {

Document document_of(const json& payload, Detail detail) {
    const Fields f(payload);
    if (!f.number("version")) throw std::runtime_error("the payload has no \"version\" that is a number");
    const std::string event = f.text("event");
    if (event.empty()) throw std::runtime_error("the payload has no \"event\" that is a text");
    if (event == "storm") return storm_document(payload);
    if (event == "dead_letter") return dead_letter_document(payload, detail, 0);
    if (event == "digest") return digest_document(payload);
    return finding_document(payload, detail);
}

void add_fact(Facts* facts, const char* label, std::string value) {
    if (!value.empty()) facts->rows.emplace_back(label, std::move(value));
}

void add_code(Document* document, const char* title, std::string line) {
    if (!line.empty()) document->blocks.emplace_back(Code{title, {std::move(line)}});
}

void add_link(Document* document, const char* text, std::string address) {
    if (!address.empty()) document->blocks.emplace_back(Link{text, std::move(address)});
}

std::string without_mark(const std::string& line) {
    if (line.starts_with("- ")) return line.substr(2);
    const size_t end = line.find_first_not_of("0123456789");
    const bool numbered = end != std::string::npos && end > 0 && end < 3 && line.substr(end, 2) == ". ";
    return numbered ? line.substr(end + 2) : line;
}

}  // namespace raxx::notify
