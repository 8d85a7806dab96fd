// The daily digest: first whether anything needs doing, then what it is, then how the watch itself fared. On a
// quiet day it is short.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <set>

#include "notify/render/document.h"
#include "notify/render/escape.h"
#include "notify/render/payload.h"

namespace raxx::notify {
namespace {

constexpr size_t kMostCards = 20;
constexpr size_t kMostRows = 30;
constexpr size_t kMostLines = 50;  // of checkpoints

void add(Document* document, Block block) { document->blocks.push_back(std::move(block)); }

void add_paragraph(Document* document, std::string text, Weight weight = Weight::plain) {
    if (!text.empty()) add(document, Paragraph{std::move(text), weight});
}

// "1 HIGH and 3 MEDIUM"; "" if there are none.
std::string severities_text(const Fields& counts) {
    std::vector<std::string> parts;
    for (const char* name : {"critical", "high", "medium", "low"})
        if (counts.count(name) > 0)
            parts.push_back(
                fmt::format("{} {}", number_text(counts.count(name)), severity_word(severity_of(name))));
    return listed(parts);
}

Severity worst_of(const Fields& counts) {
    for (const char* name : {"critical", "high", "medium"})
        if (counts.count(name) > 0) return severity_of(name);
    return Severity::low;
}

double total_of(const Fields& f, const char* total, const char* list) {
    return std::max(f.count(total), static_cast<double>(f.list(list).size()));
}

double blind_minutes(const Fields& f) {
    double sum = 0;
    for (const json& row : f.list("blind")) sum += Fields(row).count("minutes");
    return sum;
}

double blind_rules(const Fields& f) {
    std::set<std::string> rules;
    for (const json& row : f.list("blind")) rules.insert(Fields(row).text("rule_id"));
    return static_cast<double>(rules.size());
}

// ---- the first sentence ----------------------------------------------------------------------------------------

std::vector<std::string> tasks_of(const Fields& f) {
    std::vector<std::string> tasks;
    if (!f.list("attention").empty()) tasks.emplace_back("read what comes first below");
    const double findings = total_of(f, "findings_total", "findings");
    if (findings > 0) {
        const std::string severities = severities_text(Fields(f.object("severity_counts")));
        tasks.push_back("look at " + counted(findings, "new finding", "new findings") +
                        (severities.empty() ? "" : fmt::format(" ({})", severities)));
    }
    const double told = total_of(f, "told_total", "told");
    if (told > 0)
        tasks.push_back("follow up " + counted(told, "finding that was told as it happened",
                                               "findings that were told as they happened"));
    const Fields deliveries(f.object("deliveries"));
    if (deliveries.count("dead") > 0)
        tasks.push_back("see why " + counted(deliveries.count("dead"), "message was", "messages were") +
                        " not delivered");
    const Fields runs(f.object("runs"));
    if (runs.count("errors") > 0)
        tasks.push_back("see why " + counted(runs.count("errors"), "run", "runs") + " failed");
    else if (runs.has("runs") && runs.count("runs") == 0)
        tasks.emplace_back("see why no run took place");
    if (!f.list("blind").empty())
        tasks.push_back("see why " + counted(blind_rules(f), "rule was", "rules were") + " blind");
    const double open = total_of(f, "open_total", "open");
    if (open > 0)
        tasks.push_back("follow up " + counted(open, "older one that is", "older ones that are") + " still open");
    if (!f.list("health").empty()) tasks.emplace_back("read what the rules report of their health");
    if (!f.list("proposals").empty()) tasks.emplace_back("decide on what is proposed");
    return tasks;
}

// The most important ones; the sections say the rest.
std::string task_sentence(std::vector<std::string> tasks) {
    constexpr size_t kMostTasks = 3;
    if (tasks.size() > kMostTasks) {
        tasks.resize(kMostTasks - 1);
        tasks.emplace_back("see to what else is below");
    }
    return "To do today: " + listed(tasks) + ".";
}

std::string quiet_sentence(const Fields& f) {
    std::string result = "Nothing needs doing: no findings, nothing open";
    if (f.has("runs")) result += ", every run succeeded";
    if (f.has("deliveries") && Fields(f.object("deliveries")).count("pending") == 0)
        result += ", every message was delivered";
    return result + ".";
}

// ---- findings ---------------------------------------------------------------------------------------------------

void add_card(Document* document, const json& finding) {
    const Fields f(finding);
    const std::string word = severity_word(f.severity());
    const std::string title = f.has("title") ? f.text("title", 160) : f.text("rule_id");
    add(document, Card{f.severity(), word.empty() ? "FINDING" : word, title});
    add_paragraph(document, f.text("summary", kSentence), Weight::plain);
    Facts facts;
    add_fact(&facts, "Who or what", f.text("entity", kEntity));
    add_fact(&facts, "When", state_sentence(finding));
    add_fact(&facts, "How much", amount_sentence(finding));
    if (f.number("p_value")) add_fact(&facts, "How sure", chance_text(*f.number("p_value")));
    const std::vector<std::string> runbook = f.lines("runbook", 1);
    if (!runbook.empty()) add_fact(&facts, "First", without_mark(runbook.front()));
    add_fact(&facts, "Escalate to", f.text("escalation_owner"));
    if (!facts.rows.empty()) add(document, std::move(facts));
    if (std::optional<Series> series = series_of(f.object("series")))
        add(document, Chart{std::move(*series), fmt::format("finding-{:.0f}", f.count("finding_id"))});
    add_link(document, "Open it in the console", f.link());
    add_code(document, "", f.text("psql", kCommand));
}

// Rows of one list as a table; what the list leaves out is counted.
template <typename Row>
void add_table(Document* document, const json& list, double total, Table table, Row row) {
    for (const json& each : list)
        if (table.rows.size() < kMostRows) table.rows.push_back(row(Fields(each)));
    if (table.rows.empty()) return;
    const double rest = std::max(total, static_cast<double>(list.size())) - static_cast<double>(table.rows.size());
    if (rest > 0) table.more = fmt::format("And {} more.", number_text(rest));
    add(document, std::move(table));
}

void add_findings(Document* document, const Fields& f) {
    const json& findings = f.list("findings");
    const double total = total_of(f, "findings_total", "findings");
    if (total == 0) return;
    add(document, Heading{"New findings"});
    const size_t cards = std::min(findings.size(), kMostCards);
    for (size_t i = 0; i < cards; ++i) add_card(document, findings[i]);
    const double rest = total - static_cast<double>(cards);
    if (rest <= 0) return;
    add(document, Heading{"More new findings"});
    const json others(findings.begin() + static_cast<std::ptrdiff_t>(cards), findings.end());
    add_table(document, others, rest, {{"Finding", "Severity", "Rule", "Who or what"}, {}, {0}, ""},
              [](const Fields& row) {
                  return std::vector{row.text("finding_id"), severity_word(row.severity()), row.text("rule_id"),
                                     row.text("entity", 60)};
              });
}

void add_told(Document* document, const Fields& f) {
    if (f.list("told").empty()) return;
    add(document, Heading{"Told already, as it happened"});
    add_table(document, f.list("told"), f.count("told_total"),
              {{"Finding", "Severity", "What", "Told"}, {}, {0}, ""}, [](const Fields& row) {
                  const std::string what = row.has("summary") ? row.text("summary", 120) : row.text("title", 120);
                  const std::string state = row.text("condition") == "firing" ? " (still going on)" : "";
                  const std::optional<Instant> at = row.time("told_at");
                  return std::vector{row.text("finding_id"), severity_word(row.severity()), what + state,
                                     fmt::format("{}{}{}", at ? short_time_text(*at) + " UTC" : row.text("told_at"),
                                                 row.has("channel") ? ", " : "", row.text("channel", 40))};
              });
}

void add_open(Document* document, const Fields& f) {
    if (f.list("open").empty()) return;
    add(document, Heading{"Still open from before"});
    add_table(document, f.list("open"), f.count("open_total"),
              {{"Finding", "Severity", "What", "Since"}, {}, {0}, ""}, [](const Fields& row) {
                  const std::string what = row.has("summary") ? row.text("summary", 120) : row.text("entity", 120);
                  const std::string triage = row.text("triage") == "acknowledged" ? " (acknowledged)" : "";
                  const std::optional<Instant> since = row.time("since");
                  return std::vector{row.text("finding_id"), severity_word(row.severity()), what + triage,
                                     since ? short_time_text(*since) + " UTC" : row.text("since")};
              });
}

void add_set_aside(Document* document, const Fields& f) {
    if (f.list("set_aside").empty()) return;
    add(document, Heading{"Silences and exceptions: what nobody is told"});
    add_table(document, f.list("set_aside"), 0, {{"Findings", "What", "Until", "Why"}, {}, {0}, ""},
              [](const Fields& row) {
                  const std::optional<Instant> until = row.time("until");
                  const double critical = row.count("critical");
                  return std::vector{number_text(row.count("findings")) +
                                         (critical > 0 ? fmt::format(", {} CRITICAL", number_text(critical)) : ""),
                                     fmt::format("{} {}: {}, {}", row.text("kind"), row.text("id"),
                                                 row.has("rule_id") ? row.text("rule_id") : "any rule",
                                                 row.has("entity") ? row.text("entity", 60) : "whomever"),
                                     (until ? short_time_text(*until) + " UTC" : row.text("until")) +
                                         (row.text("ended") == "true" ? " (ended)" : ""),
                                     row.has("reason")
                                         ? fmt::format("{} ({})", row.text("reason", 160), row.text("by", 64))
                                         : row.text("by", 64)};
              });
}

// ---- the watch itself
// --------------------------------------------------------------------------------------------

void add_blind(Document* document, const Fields& f) {
    if (f.list("blind").empty()) return;
    add(document, Heading{"Blind minutes"});
    add_paragraph(document, fmt::format("In these the rules could not see: {} together.",
                                        counted(blind_minutes(f), "minute", "minutes")));
    add_table(document, f.list("blind"), 0, {{"Minutes", "Rule", "Why"}, {}, {0}, ""}, [](const Fields& row) {
        return std::vector{number_text(row.count("minutes")), row.text("rule_id"), row.text("why", 200)};
    });
}

void add_sleeping(Document* document, const char* title, const json& list) {
    if (list.empty()) return;
    add(document, Heading{title});
    add_table(document, list, 0, {{"Rule", "Why", "Since"}, {}, {}, ""}, [](const Fields& row) {
        const std::optional<Instant> since = row.time("since");
        return std::vector{row.text("rule_id"), row.text("reason", 240),
                           since ? short_time_text(*since) + " UTC" : row.text("since")};
    });
}

void add_sentences(Document* document, const char* title, const json& list) {
    Steps steps{title, {}, false, ""};
    for (const json& each : list)
        if (steps.lines.size() < kMostRows) steps.lines.push_back(text_of(each, kSentence));
    std::erase(steps.lines, "");
    if (!steps.lines.empty()) add(document, std::move(steps));
}

void add_health(Document* document, const Fields& f) {
    if (f.list("health").empty()) return;
    add(document, Heading{"What rules report of their health"});
    add_table(document, f.list("health"), 0, {{"Rule", "What"}, {}, {}, ""}, [](const Fields& row) {
        return std::vector{row.text("rule_id"), row.text("detail", 240)};
    });
}

void add_chains(Document* document, const Fields& f) {
    const json& chains = f.list("chains");
    if (chains.empty()) return;
    add(document, Heading{"Heads of the hash chains"});
    add_table(document, chains, 0, {{"Relation", "Entries", "Intact up to", "Verified"}, {}, {1, 2}, ""},
              [](const Fields& row) {
                  const std::optional<Instant> at = row.time("verified_at");
                  return std::vector{row.text("relation"), row.text("seq"),
                                     row.has("intact_to") ? row.text("intact_to") : "not verified",
                                     at ? short_time_text(*at) + " UTC" : row.text("verified_at")};
              });
    Code lines{"Checkpoints. Keep them outside the database: each line, as it is, proves later what the head was.",
               {}};
    for (const json& chain : chains) {
        std::string line = Fields(chain).text("line", kCommand);
        if (!line.empty() && lines.lines.size() < kMostLines) lines.lines.push_back(std::move(line));
    }
    if (!lines.lines.empty()) add(document, std::move(lines));
}

std::string rules_text(const Fields& rules) {
    std::vector<std::string> parts;
    if (rules.count("live") > 0) parts.push_back(number_text(rules.count("live")) + " live");
    if (rules.count("placeholder") > 0)
        parts.push_back(number_text(rules.count("placeholder")) + " on fixed limits until the baseline is there");
    for (const char* state : {"dormant", "disabled"})
        if (!rules.list(state).empty()) parts.push_back(fmt::format("{} {}", rules.list(state).size(), state));
    return listed(parts);
}

std::string validated_text(const Fields& rules) {
    std::vector<std::string> never;
    for (const json& each : rules.list("validated"))
        if (!Fields(each).has("last_validated")) never.push_back(Fields(each).text("rule_id"));
    const size_t tested = rules.list("validated").size() - never.size();
    if (tested == 0 && never.empty()) return {};
    std::string result = counted(static_cast<double>(tested), "rule has", "rules have") + " passed the self-test";
    constexpr size_t kMostNamed = 10;
    if (never.size() > kMostNamed) return fmt::format("{}; {} never", result, never.size());
    return never.empty() ? result : result + "; never: " + listed(never);
}

std::string runs_text(const Fields& runs) {
    if (!runs.has("runs")) return {};
    std::string result = counted(runs.count("runs"), "run", "runs");
    result += runs.count("errors") > 0 ? fmt::format(", {} of them failed", number_text(runs.count("errors")))
                                       : ", none failed";
    if (runs.has("last_run_at")) result += "; the last one " + runs.time_or_text("last_run_at");
    return result;
}

std::string deliveries_text(const Fields& deliveries) {
    struct Part {
        const char* name;
        const char* words;
    };
    constexpr std::array<Part, 5> kParts = {{{"delivered", "delivered"},
                                             {"bundled", "bundled into storms"},
                                             {"pending", "waiting"},
                                             {"possible_repeats", "perhaps sent twice"},
                                             {"dead", "not delivered"}}};
    std::vector<std::string> parts;
    for (const Part& part : kParts)
        if (deliveries.count(part.name) > 0)
            parts.push_back(fmt::format("{} {}", number_text(deliveries.count(part.name)), part.words));
    if (parts.empty() && deliveries.has("delivered")) return "no messages but this one";
    return listed(parts);
}

void add_watch(Document* document, const Fields& f) {
    Facts facts;
    add_fact(&facts, "Rules", rules_text(Fields(f.object("rules"))));
    add_fact(&facts, "Self-tests", validated_text(Fields(f.object("rules"))));
    add_fact(&facts, "Runs", runs_text(Fields(f.object("runs"))));
    add_fact(&facts, "Messages", deliveries_text(Fields(f.object("deliveries"))));
    add_fact(&facts, "Posture", f.text("posture") == "pre_launch" ? "before launch" : f.text("posture"));
    if (facts.rows.empty()) return;
    add(document, Heading{"The watch itself"});
    add(document, std::move(facts));
}

std::string period_text(const Fields& f) {
    const std::optional<Instant> from = f.time("from");
    const std::optional<Instant> to = f.time("to");
    const std::string zone = f.text("time_zone");
    std::string result = "Covers ";
    if (from && to) result += fmt::format("{} to {} UTC, ", short_time_text(*from), short_time_text(*to));
    result += "the day " + day_text(f.text("day"));
    if (!zone.empty()) result += " in " + zone;
    return result + ". All times are UTC.";
}

}  // namespace

Document digest_document(const json& payload) {
    const Fields f(payload);
    const Fields counts(f.object("severity_counts"));
    const double findings = total_of(f, "findings_total", "findings");
    const std::vector<std::string> tasks = tasks_of(f);
    const std::string day = day_text(f.text("day"));
    const std::string severities = severities_text(counts);
    Document result;
    result.severity = findings > 0 ? worst_of(counts) : Severity::low;
    result.over = tasks.empty();
    result.badge = "DAILY DIGEST";
    result.title = day.empty() ? "raxx_detect" : "raxx_detect, " + day;
    std::string outcome =
        tasks.empty() ? "quiet, nothing needs doing" : "no new findings, but something needs doing";
    if (findings > 0)
        outcome = counted(findings, "new finding", "new findings") +
                  (severities.empty() ? "" : fmt::format(" ({})", severities));
    result.headline = fmt::format("raxx_detect, {}: {}", day.empty() ? "daily digest" : day, outcome);
    add_paragraph(&result, tasks.empty() ? quiet_sentence(f) : task_sentence(tasks), Weight::lead);
    add_paragraph(&result, period_text(f), Weight::quiet);
    add_sentences(&result, "First of all", f.list("attention"));
    // What has been made quieter must not be found last.
    if (!f.list("proposals").empty()) {
        add(&result, Heading{"Told differently, and to decide"});
        add_sentences(&result, "", f.list("proposals"));
    }
    add_findings(&result, f);
    add_told(&result, f);
    add_open(&result, f);
    add_set_aside(&result, f);
    add_blind(&result, f);
    add_health(&result, f);
    const Fields rules(f.object("rules"));
    add_sleeping(&result, "Dormant rules, and what they wait for", rules.list("dormant"));
    add_sleeping(&result, "Disabled rules", rules.list("disabled"));
    add_chains(&result, f);
    add_watch(&result, f);
    add_sentences(&result, "Notes", f.list("notes"));
    return result;
}

}  // namespace raxx::notify
