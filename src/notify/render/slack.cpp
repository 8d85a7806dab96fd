// A document as Slack's blocks. Texts go into plain_text and rich_text only, which Slack never reads as markup: no
// text becomes a mention, a link or an emoji. Limits: a header of 150 characters, 3000 in any other text, 50
// blocks; and a message of some 13,000 characters in all, which is not documented but refused beyond.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

#include "notify/render/document.h"
#include "notify/render/escape.h"

namespace raxx::notify {
namespace {

constexpr size_t kMostBlocks = 45;
constexpr size_t kHeader = 150;
constexpr size_t kText = 2900;
constexpr size_t kMessage = 9000;
constexpr size_t kTableColumns = 72;

json plain(const std::string& text) { return {{"type", "text"}, {"text", text}}; }

json styled(const std::string& text, const char* style) {
    return {{"type", "text"}, {"text", text}, {"style", {{style, true}}}};
}

json section(json elements) { return {{"type", "rich_text_section"}, {"elements", std::move(elements)}}; }

json quiet(const std::string& text) {
    return {{"type", "context"},
            {"elements", {{{"type", "plain_text"}, {"text", clip(text, kText)}, {"emoji", false}}}}};
}

class Writer {
  public:
    json blocks = json::array();

    void operator()(const Heading& heading) {
        fresh_ = true;
        add(section({styled(heading.text, "bold")}), heading.text);
    }

    void operator()(const Card& card) {
        fresh_ = true;
        add(section({styled(card.badge + ": ", "bold"), plain(card.title)}), card.badge + card.title);
    }

    void operator()(const Paragraph& paragraph) {
        if (paragraph.weight == Weight::quiet) {
            add_block(quiet(paragraph.text), paragraph.text);
        } else {
            add(section({plain(paragraph.text)}), paragraph.text);
        }
    }

    void operator()(const Facts& facts) {
        fresh_ = true;
        json elements = json::array();
        std::string all;
        for (const auto& [label, value] : facts.rows) {
            if (!all.empty()) elements.push_back(plain("\n"));
            elements.push_back(styled(label + ": ", "bold"));
            elements.push_back(plain(value));
            all += label + value;
        }
        add(section(std::move(elements)), all);
    }

    void operator()(const Steps& steps) {
        fresh_ = true;
        json lines = json::array();
        std::string all;
        for (const std::string& line : steps.lines) {
            lines.push_back(section({plain(line)}));
            all += line;
        }
        if (!steps.title.empty()) add(section({styled(steps.title, "bold")}), steps.title);
        add({{"type", "rich_text_list"},
             {"style", steps.numbered ? "ordered" : "bullet"},
             {"elements", std::move(lines)}},
            all);
        if (!steps.more.empty()) add_block(quiet(steps.more), steps.more);
    }

    void operator()(const Code& code) {
        fresh_ = !code.title.empty();
        if (fresh_) add(section({plain(code.title)}), code.title);
        for (const std::string& line : code.lines) preformatted(line);
    }

    void operator()(const Table& table) {
        std::string text;
        for (const std::string& line : table_lines(table, kTableColumns)) {
            if (characters(text) + characters(line) > kText) {
                preformatted(text);
                text.clear();
            }
            text += (text.empty() ? "" : "\n") + line;
        }
        preformatted(text);
        if (!table.more.empty()) add_block(quiet(table.more), table.more);
    }

    void operator()(const Chart& /*chart*/) {}

    void operator()(const Link& link) {
        add(section({{{"type", "link"}, {"url", link.address}, {"text", link.text}}}), link.text);
    }

    void add_block(json block, const std::string& text) {
        const size_t size = characters(text);
        if (left_out_ || blocks.size() == kMostBlocks || used_ + size > kMessage) {
            left_out_ = true;
            return;
        }
        used_ += size;
        blocks.push_back(std::move(block));
    }

    [[nodiscard]] bool left_out() const { return left_out_; }

  private:
    void preformatted(const std::string& text) {
        add({{"type", "rich_text_preformatted"}, {"elements", {plain(text)}}}, text);
    }

    // Joins the rich text before it, unless something begins or it would be long.
    void add(json element, const std::string& text) {
        const size_t size = characters(text);
        const bool joined = !std::exchange(fresh_, false) && !blocks.empty() &&
                            blocks.back()["type"] == "rich_text" && in_last_ + size <= kText;
        if (joined && !left_out_ && used_ + size <= kMessage) {
            blocks.back()["elements"].push_back(std::move(element));
            used_ += size;
            in_last_ += size;
            return;
        }
        in_last_ = size;
        json elements = json::array();
        elements.push_back(std::move(element));
        add_block({{"type", "rich_text"}, {"elements", std::move(elements)}}, text);
    }

    size_t used_ = 0;
    size_t in_last_ = 0;
    bool left_out_ = false;
    bool fresh_ = false;  // what comes next begins a block
};

}  // namespace

json slack_from(const Document& document, bool possible_repeat) {
    Writer writer;
    const std::string header = fmt::format("{}: {}", document.badge, document.title);
    const std::string& first = document.headline.empty() ? header : document.headline;
    writer.add_block(
        {{"type", "header"}, {"text", {{"type", "plain_text"}, {"text", clip(first, kHeader)}, {"emoji", false}}}},
        first);
    if (possible_repeat) writer.add_block(quiet(kPossibleRepeat), kPossibleRepeat);
    for (const Block& block : document.blocks) std::visit(writer, block);
    json result;
    result["text"] = clip(slack_text(clip(text_from(document, possible_repeat), kText / 2)), kText);
    result["blocks"] = std::move(writer.blocks);
    if (writer.left_out())
        result["blocks"].push_back(quiet("There is more than fits here; the database has it all."));
    if (!document.reference.empty()) result["blocks"].push_back(quiet(document.reference));
    return result;
}

}  // namespace raxx::notify
