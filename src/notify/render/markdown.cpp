// A document as an entry of a log file.
#include <fmt/format.h>

#include <algorithm>

#include "notify/render/document.h"
#include "notify/render/escape.h"

namespace raxx::notify {
namespace {

class Writer {
  public:
    std::string text;

    void operator()(const Heading& heading) { text += fmt::format("\n### {}\n", markdown_text(heading.text)); }

    void operator()(const Card& card) {
        text += fmt::format("\n**{}: {}**\n", markdown_text(card.badge), markdown_text(card.title));
    }

    void operator()(const Paragraph& paragraph) { text += fmt::format("\n{}\n", markdown_text(paragraph.text)); }

    void operator()(const Facts& facts) {
        text += '\n';
        for (const auto& [label, value] : facts.rows)
            text += fmt::format("- {}: {}\n", label, markdown_text(value));
    }

    void operator()(const Steps& steps) {
        if (!steps.title.empty()) text += fmt::format("\n{}:\n", markdown_text(steps.title));
        text += '\n';
        for (size_t i = 0; i < steps.lines.size(); ++i)
            text += fmt::format("{} {}\n", steps.numbered ? fmt::format("{}.", i + 1) : "-",
                                markdown_text(steps.lines[i]));
        if (!steps.more.empty()) text += fmt::format("\n({})\n", markdown_text(steps.more));
    }

    void operator()(const Code& code) {
        if (!code.title.empty())
            text += fmt::format("\n{}{}\n", markdown_text(code.title), code.title.ends_with('.') ? "" : ":");
        std::string fence = "```";
        for (const std::string& line : code.lines)
            while (line.find(fence) != std::string::npos) fence += '`';
        text += fmt::format("\n{}\n", fence);
        for (const std::string& line : code.lines) text += line + '\n';
        text += fence + '\n';
    }

    void operator()(const Table& table) {
        text += '\n';
        row(table.header);
        text += '|';
        for (size_t i = 0; i < table.header.size(); ++i)
            text += std::ranges::count(table.numbers, i) != 0 ? " ---: |" : " --- |";
        text += '\n';
        for (const std::vector<std::string>& each : table.rows) row(each);
        if (!table.more.empty()) text += fmt::format("\n{}\n", markdown_text(table.more));
    }

    void operator()(const Chart& /*chart*/) {}

    void operator()(const Link& link) {
        text += fmt::format("\n[{}](<{}>)\n", markdown_text(link.text), link.address);
    }

  private:
    void row(const std::vector<std::string>& cells) {
        text += '|';
        for (const std::string& cell : cells) text += fmt::format(" {} |", markdown_text(cell));
        text += '\n';
    }
};

// It ends no comment.
std::string safe_key(const std::string& key) {
    constexpr size_t kMostKey = 200;
    std::string result;
    for (const char c : key.substr(0, kMostKey)) {
        const bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool safe =
            letter || c == '.' || c == ':' || c == '_' || c == '/' || (c == '-' && !result.ends_with('-'));
        result += safe ? c : '?';
    }
    if (result.ends_with('-')) result.back() = '?';
    return result;
}

}  // namespace

std::string markdown_from(const Document& document, bool possible_repeat, const std::string& key) {
    Writer writer;
    writer.text = fmt::format("<!-- raxx-notify {} -->\n## {}\n", safe_key(key), markdown_text(document.headline));
    if (possible_repeat) writer(Paragraph{kPossibleRepeat});
    for (const Block& block : document.blocks) std::visit(writer, block);
    if (!document.reference.empty()) writer.text += fmt::format("\n{}\n", markdown_text(document.reference));
    return writer.text + '\n';
}

}  // namespace raxx::notify
