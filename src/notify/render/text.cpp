// A document as plain text, 76 columns wide but for what is to be copied.
#include <fmt/format.h>

#include <algorithm>

#include "notify/render/document.h"
#include "notify/render/escape.h"

namespace raxx::notify {
namespace {

constexpr size_t kColumns = 76;
constexpr size_t kLabel = 14;

std::string padded(const std::string& text, size_t columns, bool right) {
    const std::string blanks(columns - std::min(columns, characters(text)), ' ');
    return right ? blanks + text : text + blanks;
}

size_t longest_word(const std::string& text) {
    size_t result = 0;
    for (const std::string& word : wrap(text, 1)) result = std::max(result, characters(word));
    return result;
}

// The columns' widths: what their cells need, the widest ones narrowed until all fit; narrower than their words, up
// to a size, only if nothing else helps.
std::vector<size_t> widths_of(const Table& table, size_t columns) {
    constexpr size_t kMostForWords = 36;
    std::vector<size_t> widths(table.header.size());
    std::vector<size_t> words(table.header.size());
    for (size_t i = 0; i < widths.size(); ++i) {
        widths[i] = characters(table.header[i]);
        words[i] = longest_word(table.header[i]);
        for (const std::vector<std::string>& row : table.rows)
            if (i < row.size()) {
                widths[i] = std::max(widths[i], characters(row[i]));
                words[i] = std::max(words[i], std::min(longest_word(row[i]), kMostForWords));
            }
    }
    const auto sum = [&widths] {
        size_t result = widths.empty() ? 0 : 2 * (widths.size() - 1);
        for (const size_t width : widths) result += width;
        return result;
    };
    while (sum() > columns) {
        size_t widest = widths.size();
        for (size_t i = 0; i < widths.size(); ++i)
            if (widths[i] > words[i] && (widest == widths.size() || widths[i] > widths[widest])) widest = i;
        if (widest == widths.size())
            widest = static_cast<size_t>(std::ranges::max_element(widths) - widths.begin());
        if (widths[widest] <= kLabel) break;
        --widths[widest];
    }
    return widths;
}

class Writer {
  public:
    std::string text;

    void operator()(const Heading& heading) {
        paragraph_break();
        text += heading.text + '\n' + std::string(characters(heading.text), '-') + '\n';
    }

    void operator()(const Card& card) {
        paragraph_break();
        fill(fmt::format("{}: {}", card.badge, card.title), "", "  ");
    }

    void operator()(const Paragraph& paragraph) {
        if (paragraph.weight != Weight::plain) paragraph_break();
        fill(paragraph.text, "", "");
    }

    void operator()(const Facts& facts) {
        paragraph_break();
        for (const auto& [label, value] : facts.rows)
            fill(value, padded(label + ":", kLabel, false), std::string(kLabel, ' '));
    }

    void operator()(const Steps& steps) {
        paragraph_break();
        if (!steps.title.empty()) text += steps.title + ":\n";
        for (size_t i = 0; i < steps.lines.size(); ++i)
            fill(steps.lines[i], steps.numbered ? fmt::format("{}. ", i + 1) : "- ", steps.numbered ? "   " : "  ");
        if (!steps.more.empty()) fill("(" + steps.more + ")", "   ", "   ");
    }

    void operator()(const Code& code) {
        paragraph_break();
        if (!code.title.empty()) fill(code.title.ends_with('.') ? code.title : code.title + ":", "", "");
        for (const std::string& line : code.lines) text += line + '\n';
    }

    void operator()(const Table& table) {
        paragraph_break();
        for (const std::string& line : table_lines(table, kColumns)) text += line + '\n';
        if (!table.more.empty()) text += table.more + '\n';
    }

    void operator()(const Chart& /*chart*/) {}

    void operator()(const Link& link) {
        paragraph_break();
        text += fmt::format("{}:\n{}\n", link.text, link.address);
    }

    void paragraph_break() {
        if (!text.empty() && !text.ends_with("\n\n")) text += '\n';
    }

    void fill(const std::string& words, const std::string& first, const std::string& rest) {
        const std::string* indent = &first;
        for (const std::string& line : wrap(words, kColumns - rest.size())) {
            text += *indent + line + '\n';
            indent = &rest;
        }
    }
};

}  // namespace

// A cell that is too wide goes on in the lines below.
std::vector<std::string> table_lines(const Table& table, size_t columns) {
    const std::vector<size_t> widths = widths_of(table, columns);
    std::vector<std::string> result;
    const auto add_row = [&](const std::vector<std::string>& row) {
        std::vector<std::vector<std::string>> cells;
        size_t height = 0;
        for (size_t i = 0; i < widths.size(); ++i) {
            cells.push_back(wrap(i < row.size() ? row[i] : "", widths[i]));
            height = std::max(height, cells.back().size());
        }
        for (size_t at = 0; at < height; ++at) {
            std::string line;
            for (size_t i = 0; i < widths.size(); ++i) {
                const std::string cell = at < cells[i].size() ? cells[i][at] : "";
                line += (i == 0 ? "" : "  ") + padded(cell, widths[i], std::ranges::count(table.numbers, i) != 0);
            }
            line.erase(line.find_last_not_of(' ') + 1);
            result.push_back(std::move(line));
        }
    };
    add_row(table.header);
    std::vector<std::string> rules;
    rules.reserve(widths.size());
    for (const size_t width : widths) rules.emplace_back(width, '-');
    add_row(rules);
    for (const std::vector<std::string>& row : table.rows) add_row(row);
    return result;
}

std::string text_from(const Document& document, bool possible_repeat) {
    Writer writer;
    writer.fill(document.headline, "", "");
    if (possible_repeat) writer.fill(kPossibleRepeat, "", "");
    writer.paragraph_break();
    for (const Block& block : document.blocks) std::visit(writer, block);
    if (!document.reference.empty()) {
        writer.paragraph_break();
        writer.fill(document.reference, "", "");
    }
    return writer.text;
}

}  // namespace raxx::notify
