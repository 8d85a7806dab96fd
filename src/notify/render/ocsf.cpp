// A payload as a Detection Finding of OCSF 1.3 (class 2004 of category 2), the activity by the event: a finding is
// created, updated or closed. A storm and a dead letter are findings about findings, of the notifier's own; so is a
// digest. What OCSF has no place for is under "unmapped".
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cmath>

#include "notify/render/document.h"
#include "notify/render/escape.h"
#include "notify/render/payload.h"

namespace raxx::notify {
namespace {

constexpr int kCategory = 2;
constexpr int kClass = 2004;

struct Named {
    int id;
    const char* name;
};

Named activity_of(const std::string& event) {
    if (event == "cleared" || event == "withdrawn") return {3, "Close"};
    if (event == "escalated" || event == "changed" || event == "no_data" || event == "resumed")
        return {2, "Update"};
    return {1, "Create"};
}

Named severity_of_ocsf(Severity severity) {
    constexpr std::array<Named, 5> kSeverities = {
        {{0, "Unknown"}, {2, "Low"}, {3, "Medium"}, {4, "High"}, {5, "Critical"}}};
    return kSeverities.at(static_cast<size_t>(severity));
}

Named status_of(const std::string& event) {
    if (event == "cleared" || event == "withdrawn") return {4, "Resolved"};
    return {1, "New"};
}

int64_t milliseconds(Instant time) {
    return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

// Whole ones as integers.
json plain_number(double number) {
    constexpr double kMostWhole = 9007199254740992;  // 2^53
    if (number == std::floor(number) && std::fabs(number) < kMostWhole) return static_cast<int64_t>(number);
    return number;
}

void put(json* object, const char* name, const std::string& text) {
    if (!text.empty()) (*object)[name] = text;
}

void put(json* object, const char* name, const std::optional<Instant>& time) {
    if (time) (*object)[name] = milliseconds(*time);
}

void put(json* object, const char* name, const std::optional<double>& number) {
    if (number) (*object)[name] = plain_number(*number);
}

json metadata_of(const std::string& event, const std::string& key) {
    return {
        {"version", "1.3.0"},
        {"uid", one_line(key, 200)},
        {"event_code", event},
        {"product", {{"name", "raxx_detect"}, {"vendor_name", "raxx"}, {"feature", {{"name", "raxx-notify"}}}}}};
}

json analytic_of(const Fields& f) {
    const bool statistical = f.text("fired_by") == "baseline";
    json result = {{"type_id", statistical ? 3 : 1}, {"type", statistical ? "Statistical" : "Rule"}};
    put(&result, "uid", f.text("rule_id"));
    put(&result, "name", f.text("title", 160));
    put(&result, "category", f.text("category"));
    return result;
}

json finding_info_of(const Fields& f, const Document& document, const std::string& key) {
    // An identifier, not a number to be read: without commas.
    const std::optional<double> id = f.number("finding_id");
    json result = {{"uid", id ? fmt::format("{:.0f}", *id) : one_line(key, 200)}, {"title", document.title}};
    put(&result, "uid_alt", f.text("det_id"));
    put(&result, "desc", f.text("summary", kSentence));
    put(&result, "src_url", f.link());
    put(&result, "created_time", f.time("detected_at"));
    put(&result, "first_seen_time", f.time("from"));
    put(&result, "last_seen_time", f.time("to"));
    if (f.has("rule_id")) result["analytic"] = analytic_of(f);
    if (f.has("category")) result["types"] = {f.text("category")};
    if (f.has("source")) result["data_sources"] = {f.text("source")};
    return result;
}

json observables_of(const Fields& f) {
    json result = json::array();
    const auto add = [&result](const std::string& value) {
        if (!value.empty())
            result.push_back({{"name", "unmapped.entity"}, {"type_id", 99}, {"type", "Entity"}, {"value", value}});
    };
    add(f.text("entity", kEntity));
    constexpr size_t kMostEntities = 5;
    for (const json& entity : f.list("entities"))
        if (result.size() < kMostEntities) add(text_of(entity, kEntity));
    return result;
}

json evidences_of(const Fields& f) {
    json data = json::object();
    for (const char* name : {"entity", "source", "unit", "fired_by"}) put(&data, name, f.text(name, kEntity));
    for (const char* name : {"observed", "threshold", "p_value", "sample_size", "occurrences"})
        put(&data, name, f.number(name));
    if (data.empty()) return json::array();
    return {{{"data", data}}};
}

json unmapped_of(const Fields& f) {
    json result = json::object();
    for (const char* name : {"event", "entity", "condition", "was_severity", "verdict", "escalation_owner",
                             "because", "channel", "reason", "error", "day", "time_zone"})
        put(&result, name, f.text(name, kEntity));
    for (const char* name : {"psql", "triage_psql"}) put(&result, name, f.text(name, kCommand));
    for (const char* name : {"total", "attempts", "count", "findings_total", "open_total", "told_total"})
        put(&result, name, f.number(name));
    if (f.has("late")) result["late"] = f.flag("late");
    return result;
}

json counts_of(const json& counts) {
    constexpr size_t kMostRows = 100;
    json result = json::array();
    for (const json& row : counts) {
        if (result.size() == kMostRows) break;
        const Fields f(row);
        result.push_back({{"severity", f.text("severity")},
                          {"rule_id", f.text("rule_id")},
                          {"event", f.text("event")},
                          {"count", plain_number(f.count("count"))}});
    }
    return result;
}

json checkpoints_of(const json& chains) {
    json result = json::array();
    for (const json& chain : chains)
        if (const std::string line = Fields(chain).text("line", kCommand); !line.empty()) result.push_back(line);
    return result;
}

// What this is about happened last.
std::optional<Instant> time_of(const Fields& f) {
    for (const char* name : {"detected_at", "last_at", "to", "from"})
        if (const std::optional<Instant> time = f.time(name)) return time;
    const Fields letter(f.object("letter"));
    return letter.has("event") && !letter.has("letter") ? time_of(letter) : std::nullopt;
}

}  // namespace

json ocsf(const json& payload, bool possible_repeat, const std::string& key) {
    const Document document = document_of(payload, Detail::brief);
    const Fields f(payload);
    const std::string event = f.text("event");
    const Named activity = activity_of(event);
    const Named severity = severity_of_ocsf(document.severity);
    const Named status = status_of(event);
    json result = {{"category_uid", kCategory},
                   {"category_name", "Findings"},
                   {"class_uid", kClass},
                   {"class_name", "Detection Finding"},
                   {"activity_id", activity.id},
                   {"activity_name", activity.name},
                   {"type_uid", kClass * 100 + activity.id},
                   {"type_name", fmt::format("Detection Finding: {}", activity.name)},
                   {"severity_id", severity.id},
                   {"severity", severity.name},
                   {"status_id", status.id},
                   {"status", status.name},
                   {"message", document.headline}};
    const std::optional<Instant> time = time_of(f);
    result["time"] = time ? milliseconds(*time) : 0;
    put(&result, "start_time", f.has("first_at") ? f.time("first_at") : f.time("from"));
    put(&result, "end_time", f.has("last_at") ? f.time("last_at") : f.time("to"));
    put(&result, "count", event == "storm" ? f.number("total") : std::nullopt);
    if (event == "withdrawn") result["status_detail"] = "The rows no longer show it.";
    result["metadata"] = metadata_of(event, key);
    result["finding_info"] = finding_info_of(f, document, key);
    if (json observables = observables_of(f); !observables.empty()) result["observables"] = std::move(observables);
    if (json evidences = evidences_of(f); !evidences.empty()) result["evidences"] = std::move(evidences);
    json unmapped = unmapped_of(f);
    unmapped["possible_repeat"] = possible_repeat;
    if (!f.list("counts").empty()) unmapped["counts"] = counts_of(f.list("counts"));
    if (!f.list("chains").empty()) unmapped["checkpoints"] = checkpoints_of(f.list("chains"));
    result["unmapped"] = std::move(unmapped);
    return result;
}

}  // namespace raxx::notify
