// Messages about messages: many that became one, and one that could not be delivered.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "notify/render/document.h"
#include "notify/render/escape.h"
#include "notify/render/payload.h"

namespace raxx::notify {
namespace {

constexpr size_t kMostRows = 30;
constexpr size_t kMostEntities = 5;
constexpr int kMostLetters = 3;  // a dead letter may be about a dead letter

std::string event_in_words(const std::string& event) {
    if (event == "no_data") return "no data";
    return event == "resumed" ? "data are back" : event;
}

Table counts_table(const json& counts) {
    Table table{{"Count", "Severity", "Event", "Rule"}, {}, {0}, ""};
    double rest = 0;
    for (const json& row : counts) {
        const Fields f(row);
        if (table.rows.size() == kMostRows) {
            rest += f.count("count");
            continue;
        }
        const std::string rule = f.has("rule_id") ? f.text("rule_id") : f.text("title");
        table.rows.push_back(
            {number_text(f.count("count")), severity_word(f.severity()), event_in_words(f.text("event")), rule});
    }
    if (rest > 0) table.more = fmt::format("And {} of other rules and events.", number_text(rest));
    return table;
}

double sum_of(const json& counts) {
    double sum = 0;
    for (const json& row : counts) sum += Fields(row).count("count");
    return sum;
}

// The rule with the most of them, in words.
std::string loudest(const json& counts) {
    double most = 0;
    std::string result;
    for (const json& row : counts) {
        const Fields f(row);
        if (f.count("count") <= most) continue;
        most = f.count("count");
        result = f.has("title") ? f.text("title", 110) : f.text("rule_id");
    }
    return result;
}

void add_storm_facts(Document* document, const Fields& f) {
    Facts facts;
    const std::optional<Instant> first = f.time("first_at");
    const std::optional<Instant> last = f.time("last_at");
    if (first && last) add_fact(&facts, "When", span_text(*first, *last));
    const Fields ids(f.object("finding_ids"));
    if (ids.has("from") && ids.has("to"))
        add_fact(&facts, "Findings", fmt::format("{:.0f} to {:.0f}", ids.count("from"), ids.count("to")));
    std::vector<std::string> entities;
    for (const json& entity : f.list("entities"))
        if (entities.size() < kMostEntities) entities.push_back(text_of(entity, kShort));
    std::erase(entities, "");
    std::string examples;
    for (const std::string& entity : entities) examples += (examples.empty() ? "" : ", ") + entity;
    add_fact(&facts, "For example", examples);
    if (!facts.rows.empty()) document->blocks.emplace_back(std::move(facts));
}

std::string dead_reason(const Fields& f) {
    const std::string reason = f.text("reason");
    const std::string attempts =
        f.count("attempts") > 0 ? " after " + counted(f.count("attempts"), "attempt", "attempts") : "";
    if (reason == "deadline") return "Its deadline has passed" + attempts + ".";
    if (reason == "refused") return "The channel refused it for good" + attempts + ".";
    return reason.empty() ? "It was given up" + attempts + "."
                          : fmt::format("It was given up{}: {}.", attempts, reason);
}

Document letter_document(const json& letter, Detail detail, int depth) {
    const std::string event = Fields(letter).text("event");
    if (event == "storm") return storm_document(letter);
    if (event == "digest") return digest_document(letter);
    if (event != "dead_letter") return finding_document(letter, detail);
    if (depth < kMostLetters) return dead_letter_document(letter, detail, depth + 1);
    Document result;
    result.title = "a message about a message about a message";
    return result;
}

}  // namespace

Document storm_document(const json& payload) {
    const Fields f(payload);
    Document result;
    result.severity = f.severity();
    const std::string severity = severity_word(result.severity);
    const std::string total = number_text(f.has("total") ? f.count("total") : sum_of(f.list("counts")));
    const std::string what = loudest(f.list("counts"));
    result.badge = severity.empty() ? "STORM" : severity + " STORM";
    result.title = fmt::format("{} messages at once, told in this one", total);
    result.headline =
        fmt::format("{}{} messages at once{}", severity.empty() ? "Storm: " : severity + " storm: ", total,
                    what.empty() ? "" : ", most of them: " + what);
    if (!what.empty()) result.blocks.emplace_back(Paragraph{"Most of them: " + what, Weight::lead});
    result.blocks.emplace_back(
        Paragraph{"So many at once have most likely one cause: look for it first. Each finding is in the "
                  "database, and nothing is lost; no further message comes for these.",
                  Weight::plain});
    Table table = counts_table(f.list("counts"));
    if (!table.rows.empty()) {
        table.more += fmt::format("{}Together: {}.", table.more.empty() ? "" : " ", total);
        result.blocks.emplace_back(std::move(table));
    }
    add_storm_facts(&result, f);
    add_link(&result, "Open the findings in the console", f.link());
    add_code(&result, "To look at them in psql", f.text("psql", kCommand));
    return result;
}

Document dead_letter_document(const json& payload, Detail detail, int depth) {
    const Fields f(payload);
    Document letter = letter_document(f.object("letter"), detail, depth);
    Document result;
    result.severity = f.severity() == Severity::unknown ? letter.severity : f.severity();
    const double count = f.has("count") ? f.count("count") : 1;
    const std::string channel = f.has("channel") ? f.text("channel") : "its channel";
    result.badge = "NOT DELIVERED";
    result.title = fmt::format("{} could not be delivered to {}", counted(count, "message", "messages"), channel);
    result.headline = fmt::format("Not delivered to {}: {}", channel, letter.headline);
    result.headline = clip(result.headline, 200);
    result.blocks.emplace_back(
        Paragraph{dead_reason(f) + " Whoever reads that channel does not know of it: tell them, and see why the "
                                   "channel fails.",
                  Weight::lead});
    Facts facts;
    add_fact(&facts, "Channel", channel);
    add_fact(&facts, "Error", f.text("error", kSentence));
    result.blocks.emplace_back(std::move(facts));
    result.blocks.emplace_back(Heading{count > 1 ? "The most severe of them" : "What could not be delivered"});
    result.blocks.emplace_back(Card{letter.severity, letter.badge, letter.title});
    std::ranges::move(letter.blocks, std::back_inserter(result.blocks));
    result.reference = letter.reference;
    return result;
}

}  // namespace raxx::notify
