// What each payload becomes, held against the files in test/notify/golden. `cmake --build build/... --target
// notify_golden` writes them anew; read the difference before it is committed.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "payloads.h"

namespace raxx::notify {
namespace {

constexpr const char* kKey = "3c9e1f5a-0b1d-4a53-9a70-5d2c7f5f8a11";

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, Mail) {
    const Mail result = mail(payload(GetParam()), false);
    expect_golden(GetParam() + ".mail.txt", "Subject: " + result.subject + "\n\n" + result.text);
}

TEST_P(Golden, PlainText) { expect_golden(GetParam() + ".plain.txt", plain_text(payload(GetParam()), true)); }

TEST_P(Golden, Markdown) {
    expect_golden(GetParam() + ".markdown.txt", markdown(payload(GetParam()), false, kKey));
}

TEST_P(Golden, Ocsf) {
    expect_golden(GetParam() + ".ocsf.txt", ocsf(payload(GetParam()), false, kKey).dump(2) + "\n");
}

// One of each kind: these files are long.
class GoldenMarkup : public testing::TestWithParam<std::string> {};

TEST_P(GoldenMarkup, Html) { expect_golden(GetParam() + ".html.txt", mail(payload(GetParam()), false).html); }

TEST_P(GoldenMarkup, Slack) {
    expect_golden(GetParam() + ".slack.txt", slack(payload(GetParam()), false).dump(2) + "\n");
}

INSTANTIATE_TEST_SUITE_P(Payloads, GoldenMarkup, testing::Values("digest_quiet", "fired", "hostile", "storm"),
                         [](const auto& test) { return std::string(test.param); });
INSTANTIATE_TEST_SUITE_P(Payloads, Golden, testing::ValuesIn(payload_names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace raxx::notify
