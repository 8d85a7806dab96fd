// A message about one finding: how bad, what, who, since when, over or not, how sure, and what to do first.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>

#include "notify/render/document.h"
#include "notify/render/escape.h"
#include "notify/render/payload.h"

namespace raxx::notify {
namespace {

constexpr size_t kBriefSteps = 2;
constexpr size_t kFullSteps = 12;

bool is_over(const std::string& event) { return event == "cleared" || event == "withdrawn"; }

std::string badge_of(const Fields& f) {
    const std::string event = f.text("event");
    std::string severity = severity_word(f.severity());
    if (event == "cleared") return "CLEARED";
    if (event == "withdrawn") return "WITHDRAWN";
    if (event == "no_data") return "NO DATA";
    if (severity.empty()) return "FINDING";
    return severity;
}

// What stands before the title in a list of messages.
std::string opening(const Fields& f) {
    const std::string event = f.text("event");
    const std::string severity = severity_word(f.severity());
    const std::string was = severity_word(f.severity("was_severity"));
    std::string now = severity.empty() ? "Finding" : severity;
    if (event == "escalated") return was.empty() ? now + ", worse" : fmt::format("{}, was {}", now, was);
    if (event == "changed") return now + ", changed";
    if (event == "resumed") return now + ", data are back";
    if (event == "fired") return now;
    const std::string in_brackets = severity.empty() ? "" : fmt::format(" ({})", severity);
    if (event == "cleared") return "Cleared" + in_brackets;
    if (event == "withdrawn") return "Withdrawn" + in_brackets;
    if (event == "no_data") return "No data" + in_brackets;
    return fmt::format("{}, {}", now, event);
}

std::string title_of(const Fields& f) {
    for (const char* name : {"title", "rule_id", "summary"})
        if (f.has(name)) return f.text(name, 160);
    return "a finding without a title";
}

std::string headline_of(const Fields& f) {
    const std::string entity = f.text("entity", 60);
    return fmt::format("{}: {}{}", opening(f), clip(title_of(f), 110), entity.empty() ? "" : ", " + entity);
}

// What has just happened, for events that are not the first.
std::string happening(const Fields& f) {
    const std::string event = f.text("event");
    const std::string was = severity_word(f.severity("was_severity"));
    const std::string now = severity_word(f.severity());
    if (event == "escalated" && !was.empty() && !now.empty())
        return fmt::format("It has become worse: from {} to {}. ", was, now);
    if (event == "escalated") return "It has become worse. ";
    if (event == "changed") return "What is known of it has changed; this is how it stands now. ";
    if (event == "withdrawn") return "Withdrawn: the rows no longer show it. ";
    if (event == "no_data") return "Data have stopped coming, so nobody can tell whether it goes on. ";
    if (event == "resumed") return "Data come again. ";
    return {};
}

std::string length_of(Instant from, Instant to) {
    return duration_text(std::chrono::floor<std::chrono::seconds>(to - from));
}

// "since ..." or from when to when.
std::string when_text(const Fields& f) {
    const std::optional<Instant> from = f.time("from");
    const std::optional<Instant> to = f.time("to");
    if (!from) return f.text("from");
    if (!to) return "since " + time_text(*from);
    return *from == *to ? time_text(*from) : fmt::format("{} ({})", span_text(*from, *to), length_of(*from, *to));
}

std::string certainty(const Fields& f) {
    std::string result;
    const std::string fired_by = f.text("fired_by");
    if (fired_by == "threshold" && f.has("threshold")) result = "a fixed limit was passed";
    if (fired_by == "baseline") result = "more than the baseline explains";
    const std::string chance = f.number("p_value") ? chance_text(*f.number("p_value")) : "";
    if (!chance.empty()) result += (result.empty() ? "" : "; ") + chance;
    if (const std::optional<double> size = f.number("sample_size")) {
        const std::string rows = "judged on " + counted(*size, "row", "rows");
        result += (result.empty() ? "" : "; ") + rows;
    }
    return result;
}

std::string verdict_text(const std::string& verdict) {
    if (verdict == "undetermined") return "undetermined: neither harmless nor an attack has been shown";
    return verdict;
}

void add_facts(Document* document, const Fields& f, const json& payload) {
    Facts facts;
    add_fact(&facts, "Who or what", f.text("entity", kEntity));
    add_fact(&facts, "Seen in", f.text("source"));
    add_fact(&facts, "How much", amount_sentence(payload));
    add_fact(&facts, "How sure", certainty(f));
    add_fact(&facts, "Verdict", verdict_text(f.text("verdict")));
    if (f.count("occurrences") > 1)
        add_fact(&facts, "Conditions",
                 counted(f.count("occurrences"), "condition", "conditions") + " of the rule held");
    add_fact(&facts, "Escalate to", f.text("escalation_owner"));
    add_fact(&facts, "Because", f.text("because", 200));
    if (!facts.rows.empty()) document->blocks.emplace_back(std::move(facts));
}

Steps steps_of(const char* title, std::vector<std::string> lines, size_t at_most, bool numbered) {
    Steps steps{title, {}, numbered, ""};
    const size_t rest = lines.size() - std::min(lines.size(), at_most);
    lines.resize(lines.size() - rest);
    for (const std::string& line : lines) steps.lines.push_back(without_mark(line));
    if (rest != 0) steps.more = counted(static_cast<double>(rest), "more step", "more steps");
    return steps;
}

void add_steps(Document* document, const Fields& f, Detail detail) {
    const bool full = detail == Detail::full;
    Steps first =
        steps_of("What to do first", f.lines("runbook", kFullSteps), full ? kFullSteps : kBriefSteps, true);
    if (!first.more.empty()) first.more += fmt::format(" in the runbook: docs/rules/{}.md", f.text("rule_id"));
    if (!first.lines.empty()) document->blocks.emplace_back(std::move(first));
    Steps never = steps_of("Do not", f.lines("do_not", kFullSteps), full ? kFullSteps : 1, false);
    never.more.clear();
    if (!never.lines.empty()) document->blocks.emplace_back(std::move(never));
}

std::string reference_of(const Fields& f) {
    std::vector<std::string> parts;
    if (const std::string id = f.text("finding_id"); !id.empty()) parts.push_back("finding " + id);
    if (const std::string rule = f.text("rule_id"); !rule.empty()) parts.push_back("rule " + rule);
    if (const std::string det = f.text("det_id"); !det.empty()) parts.push_back(det);
    if (f.has("detected_at")) parts.push_back("found " + f.time_or_text("detected_at"));
    std::string result;
    for (const std::string& part : parts) result += (result.empty() ? "" : " | ") + part;
    return result;
}

void add_chart(Document* document, const Fields& f) {
    if (std::optional<Series> series = series_of(f.object("series")))
        document->blocks.emplace_back(
            Chart{std::move(*series), fmt::format("finding-{:.0f}", f.count("finding_id"))});
}

}  // namespace

std::string state_sentence(const json& finding) {
    const Fields f(finding);
    const std::string event = f.text("event");
    const std::string condition = f.text("condition");
    const std::string when = when_text(f);
    std::string result = happening(f);
    if (event == "withdrawn") {
        result += when.empty() ? "" : fmt::format("It was about {}.", when);
    } else if (condition == "no_data" || event == "no_data") {
        result += when.empty() ? "" : fmt::format("Before that it was going on, {}.", when);
    } else if (condition == "cleared" || event == "cleared") {
        result += when.empty() ? "Over." : fmt::format("Over: {}.", when);
    } else if (f.has("to")) {
        result += when.empty() ? "Not resolved." : fmt::format("Not resolved. It happened {}.", when);
    } else {
        result += when.empty() ? "Still going on." : fmt::format("Still going on, {}.", when);
    }
    if (f.flag("late")) result += " Found late: rows came, or went, after the hours had been judged.";
    return result;
}

std::string amount_sentence(const json& finding) {
    const Fields f(finding);
    const std::optional<double> observed = f.number("observed");
    const std::optional<double> limit = f.number("threshold");
    std::string unit = f.text("unit", 80);
    if (!observed) return {};
    if (*observed == 1 && unit.ends_with("ies"))
        unit.replace(unit.size() - 3, 3, "y");
    else if (*observed == 1 && unit.size() > 2 && unit.ends_with('s'))
        unit.pop_back();
    std::string result = number_text(*observed) + (unit.empty() ? "" : " " + unit);
    if (!limit) return result;
    result += fmt::format("; the limit is {}", number_text(*limit));
    const double ratio = *limit > 0 ? *observed / *limit : 0;
    if (ratio < 1.5 || ratio >= 1e6) return result;
    return result + fmt::format(" ({} times as much)",
                                number_text(ratio < 10 ? std::round(ratio * 10) / 10 : std::round(ratio)));
}

Document finding_document(const json& payload, Detail detail) {
    const Fields f(payload);
    Document result;
    result.severity = f.severity();
    result.over = is_over(f.text("event"));
    result.headline = headline_of(f);
    result.badge = badge_of(f);
    result.title = title_of(f);
    result.reference = reference_of(f);
    if (f.has("summary")) result.blocks.emplace_back(Paragraph{f.text("summary", kSentence), Weight::lead});
    result.blocks.emplace_back(Paragraph{state_sentence(payload), Weight::plain});
    add_facts(&result, f, payload);
    add_chart(&result, f);
    if (result.over) {
        result.blocks.emplace_back(Paragraph{
            "Nothing has to be done at once. The finding stays open until somebody closes it.", Weight::plain});
    } else {
        add_steps(&result, f, detail);
    }
    add_link(&result, "Open the finding in the console", f.link());
    add_code(&result, "To look at it in psql", f.text("psql", kCommand));
    add_code(&result, "To triage it in psql", f.text("triage_psql", kCommand));
    return result;
}

}  // namespace raxx::notify
