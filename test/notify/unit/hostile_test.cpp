// Payloads that are wrong, huge or malicious: everything that can be rendered is, nothing breaks out, and nothing
// grows.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "payloads.h"

namespace raxx::notify {
namespace {

constexpr const char* kEvil =
    "<script>alert(1)</script> <img src=x onerror=alert(1)> \" ' *b* _i_ `c` ```\n[l](http://evil.example) "
    "<!channel> <@U1> "
    "\r\nBcc: victim@example.com --> | \x1b[31m \xe2\x80\xae \xf0\x9f\x98\x80 \\";

struct Rendered {
    Mail message;
    std::string plain;
    json blocks;
    std::string log;
    json event;
};

Rendered rendered(const json& payload) {
    return {mail(payload, true), plain_text(payload, true), slack(payload, true), markdown(payload, true, "key-1"),
            ocsf(payload, true, "key-1")};
}

// Replaces what stands at each place of the payload in turn, and calls back with it.
template <typename Replace, typename Callback>
void each_place(json* root, json* at, const Replace& replace, const Callback& callback) {
    if (at->is_structured()) {
        for (json& child : *at) each_place(root, &child, replace, callback);
    }
    if (at == root || at == &(*root)["version"] || at == &(*root)["event"]) return;
    const json kept = *at;
    if (replace(at)) callback(*root);
    *at = kept;
}

void each_text(const json& value, const std::function<void(const std::string&)>& callback) {
    if (value.is_string()) callback(value.get<std::string>());
    if (value.is_structured())
        for (const json& child : value) each_text(child, callback);
}

// What of a log entry is read as markdown: without its fenced code.
std::string without_code(const std::string& markdown) {
    std::istringstream lines(markdown);
    std::string result;
    std::string fence;
    for (std::string line; std::getline(lines, line);) {
        const size_t ticks = line.find_first_not_of('`') == std::string::npos ? line.size() : 0;
        if (fence.empty() && ticks >= 3) {
            fence = line;
        } else if (!fence.empty() && ticks >= fence.size()) {
            fence.clear();
        } else if (fence.empty()) {
            result += line + '\n';
        }
    }
    EXPECT_EQ(fence, "");
    return result;
}

// Every list has so many members at most.
void shorten(json* at, size_t members) {
    if (at->is_array() && at->size() > members)
        at->erase(at->begin() + static_cast<std::ptrdiff_t>(members), at->end());
    if (at->is_structured())
        for (json& child : *at) shorten(&child, members);
}

bool has_controls(const std::string& text) {
    return std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ' && c != '\n') || c == 0x7f; });
}

// Every text of the payload is evil, and long.
json poisoned(json payload) {
    const std::string evil = kEvil + std::string(10'000, 'A');
    const json event = payload["event"];
    const auto poison = [&evil](auto&& self, json* at) -> void {
        if (at->is_string()) *at = evil;
        if (at->is_structured())
            for (json& child : *at) self(self, &child);
    };
    poison(poison, &payload);
    payload["event"] = event;
    return payload;
}

class Hostile : public testing::TestWithParam<std::string> {};

TEST_P(Hostile, WrongTypesAreRendered) {
    json input = payload(GetParam());
    shorten(&input, 2);
    for (const json& wrong : {json("x"), json(-1e300), json::array({1, "x"}), json{{"a", 1}}}) {
        each_place(
            &input, &input, [&wrong](json* at) { return !at->is_number() && (*at = wrong, true); },
            [](const json& changed) { EXPECT_FALSE(plain_text(changed, false).empty()); });
    }
}

TEST_P(Hostile, MissingFieldsAreLeftOut) {
    const json input = payload(GetParam());
    for (const auto& [name, value] : input.items()) {
        if (name == "version" || name == "event") continue;
        json less = input;
        less.erase(name);
        const Rendered result = rendered(less);
        EXPECT_FALSE(result.message.subject.empty()) << name;
        EXPECT_FALSE(result.blocks["blocks"].empty()) << name;
    }
    const Rendered bare = rendered({{"version", 1}, {"event", input["event"]}});
    EXPECT_FALSE(bare.message.text.empty());
    EXPECT_FALSE(bare.message.html.empty());
}

TEST_P(Hostile, VersionAndEventHaveToBeThere) {
    for (const char* name : {"version", "event"}) {
        for (const json& wrong : {json(), json(json::array())}) {
            json input = payload(GetParam());
            input[name] = wrong;
            try {
                static_cast<void>(rendered(input));
                FAIL() << name;
            } catch (const std::runtime_error& error) {
                EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
            }
        }
    }
    EXPECT_THROW(static_cast<void>(headline(json::array())), std::runtime_error);
}

TEST_P(Hostile, NothingBreaksOutOfMail) {
    const Mail result = mail(poisoned(payload(GetParam())), false);
    EXPECT_FALSE(has_controls(result.subject));
    EXPECT_EQ(result.subject.find('\n'), std::string::npos);
    EXPECT_LE(result.subject.size(), 1000U);
    EXPECT_FALSE(has_controls(result.text));
    EXPECT_FALSE(has_controls(result.html));
    EXPECT_EQ(result.text.find("\xe2\x80\xae"), std::string::npos);
    EXPECT_EQ(result.html.find("\xe2\x80\xae"), std::string::npos);
    EXPECT_EQ(result.html.find("<script"), std::string::npos);
    EXPECT_EQ(result.html.find("<img src=x"), std::string::npos);
    EXPECT_EQ(result.html.find("javascript:"), std::string::npos);
    EXPECT_EQ(result.text.find("\nBcc:"), std::string::npos);
}

TEST_P(Hostile, NothingBreaksOutOfSlack) {
    const json result = slack(poisoned(payload(GetParam())), true);
    EXPECT_EQ(result["text"].get<std::string>().find("<"), std::string::npos);
    each_text(result, [](const std::string& text) { EXPECT_FALSE(has_controls(text)); });
    for (const json& block : result["blocks"]) EXPECT_EQ(block.dump().find("mrkdwn"), std::string::npos);
}

TEST_P(Hostile, NothingBreaksOutOfMarkdown) {
    const std::string result = markdown(poisoned(payload(GetParam())), false, "a-->b\n<x>");
    EXPECT_TRUE(result.starts_with("<!-- raxx-notify a-??b??x? -->\n"));
    EXPECT_FALSE(has_controls(result));
    const std::string read = without_code(result);
    EXPECT_EQ(read.find("](http://evil"), std::string::npos);
    EXPECT_EQ(read.find("<script"), std::string::npos);
    EXPECT_EQ(read.find("\n```"), std::string::npos);
}

TEST_P(Hostile, EverythingIsBounded) {
    const Rendered result = rendered(poisoned(payload(GetParam())));
    EXPECT_LT(result.message.text.size(), 100'000U);
    EXPECT_LT(result.message.html.size(), 150'000U);
    EXPECT_LT(result.plain.size(), 100'000U);
    EXPECT_LT(result.log.size(), 150'000U);
    EXPECT_LT(result.event.dump().size(), 100'000U);
    EXPECT_LE(result.blocks["blocks"].size(), 50U);
    EXPECT_LE(result.blocks["text"].get<std::string>().size(), 12'000U);
    each_text(result.blocks["blocks"], [](const std::string& text) { EXPECT_LE(text.size(), 3000U); });
    EXPECT_LT(result.blocks.dump().size(), 60'000U);
}

INSTANTIATE_TEST_SUITE_P(Payloads, Hostile, testing::ValuesIn(payload_names()),
                         [](const auto& test) { return test.param; });

// As much of everything as a digest may carry, and more.
json full_digest() {
    json result = payload("digest");
    for (const char* name : {"findings", "told", "open", "blind", "chains"}) {
        json many = json::array();
        for (size_t i = 0; i < 80; ++i) many.push_back(result[name][i % result[name].size()]);
        result[name] = many;
    }
    result["findings_total"] = 1234;
    return result;
}

TEST(FullDigest, FitsIntoAMail) {
    const Mail result = mail(full_digest(), false);
    EXPECT_LE(result.pictures.size(), 20U);
    EXPECT_GE(result.pictures.size(), 12U);
    size_t size = result.text.size() + result.html.size();
    for (const Picture& picture : result.pictures) size += picture.png.size() * 4 / 3;
    EXPECT_LT(result.html.size(), 220'000U);
    EXPECT_LT(size, 500'000U);
    EXPECT_NE(result.text.find("And 1184 more."), std::string::npos);
}

TEST(FullDigest, EveryPictureIsShownOnce) {
    const Mail result = mail(full_digest(), false);
    for (const Picture& picture : result.pictures) {
        const std::string address = "\"cid:" + picture.content_id + "\"";
        const size_t at = result.html.find(address);
        ASSERT_NE(at, std::string::npos) << address;
        EXPECT_EQ(result.html.find(address, at + 1), std::string::npos) << address;
    }
}

TEST(Digest, CheckpointsAreVerbatim) {
    const json input = payload("digest");
    const Mail message = mail(input, false);
    const std::string log = markdown(input, false, "key");
    for (const json& chain : input["chains"]) {
        const std::string line = chain["line"];
        EXPECT_NE(message.text.find("\n" + line + "\n"), std::string::npos);
        EXPECT_NE(message.html.find(">" + line + "</pre>"), std::string::npos);
        EXPECT_NE(log.find("\n" + line + "\n"), std::string::npos);
        EXPECT_NE(slack(input, false).dump().find("\"" + line + "\""), std::string::npos);
    }
}

TEST(Storm, CountsAreExactWhateverIsLeftOut) {
    json input = payload("storm");
    input["counts"] = json::array();
    for (int i = 0; i < 100; ++i)
        input["counts"].push_back(
            {{"severity", "low"}, {"rule_id", "rule"}, {"event", "fired"}, {"count", 1000 + i}});
    input["total"] = 104950;
    const std::string text = plain_text(input, false);
    EXPECT_NE(text.find("1029"), std::string::npos);
    EXPECT_EQ(text.find("1030 "), std::string::npos);
    EXPECT_NE(text.find("And 74,515 of other rules and events. Together: 104,950."), std::string::npos) << text;
    input.erase("total");
    EXPECT_NE(headline(input).find("104,950"), std::string::npos) << headline(input);
}

TEST(DeadLetter, OfADeadLetterEnds) {
    json input = payload("dead_letter");
    for (int i = 0; i < 1000; ++i) {
        json outer = payload("dead_letter");
        outer["letter"] = std::move(input);
        input = std::move(outer);
    }
    EXPECT_LT(plain_text(input, false).size(), 20'000U);
    EXPECT_LT(headline(input).size(), 1000U);
}

TEST(PossibleRepeat, IsMarkedEverywhere) {
    const json input = payload("fired");
    EXPECT_NE(mail(input, true).subject.find("possible repeat"), std::string::npos);
    for (const std::string& text : {mail(input, true).text, mail(input, true).html, plain_text(input, true),
                                    slack(input, true)["blocks"].dump(), markdown(input, true, "k")})
        EXPECT_NE(text.find("Possible repeat"), std::string::npos);
    EXPECT_EQ(ocsf(input, true, "k")["unmapped"]["possible_repeat"], true);
    EXPECT_EQ(plain_text(input, false).find("ossible repeat"), std::string::npos);
    EXPECT_EQ(mail(input, false).html.find("ossible repeat"), std::string::npos);
}

TEST(Ocsf, ActivityFollowsTheEvent) {
    for (const auto& [event, activity] : {std::pair{"fired", 1},
                                          {"escalated", 2},
                                          {"changed", 2},
                                          {"no_data", 2},
                                          {"resumed", 2},
                                          {"cleared", 3},
                                          {"withdrawn", 3}}) {
        json input = payload("fired");
        input["event"] = event;
        const json result = ocsf(input, false, "key");
        EXPECT_EQ(result["activity_id"], activity) << event;
        EXPECT_EQ(result["type_uid"], 200400 + activity) << event;
        EXPECT_EQ(result["class_uid"], 2004);
        EXPECT_EQ(result["category_uid"], 2);
        EXPECT_EQ(result["severity_id"], 4);
        EXPECT_EQ(result["metadata"]["version"], "1.3.0");
        EXPECT_EQ(result["finding_info"]["uid"], "12");
    }
}

}  // namespace
}  // namespace raxx::notify
