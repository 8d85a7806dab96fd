// What addresses become, ordinary ones and those that somebody made up to do harm.
#include "core/email_pattern.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace raxx {
namespace {

// In a buffer of exactly its size, so that a sanitizer sees every byte read beyond.
EmailPattern pattern_of(const std::string& email) {
    const auto buffer = std::make_unique<unsigned char[]>(email.size());
    if (!email.empty()) std::memcpy(buffer.get(), email.data(), email.size());
    EmailPattern pattern;
    std::memset(&pattern, 'x', sizeof pattern);
    email_pattern({buffer.get(), static_cast<uint32_t>(email.size())}, &pattern);
    EXPECT_NE(std::memchr(pattern.domain, 0, sizeof pattern.domain), nullptr);
    EXPECT_NE(std::memchr(pattern.registrable_domain, 0, sizeof pattern.registrable_domain), nullptr);
    EXPECT_NE(std::memchr(pattern.shape, 0, sizeof pattern.shape), nullptr);
    return pattern;
}

std::string domain_of(const std::string& domain) { return pattern_of("someone@" + domain).domain; }
std::string registrable_of(const std::string& domain) { return pattern_of("someone@" + domain).registrable_domain; }
std::string shape_of(const std::string& local) { return pattern_of(local + "@example.com").shape; }

void expect_nothing(const std::string& email) {
    const EmailPattern pattern = pattern_of(email);
    EXPECT_STREQ(pattern.domain, "") << email.substr(0, 100);
    EXPECT_STREQ(pattern.registrable_domain, "") << email.substr(0, 100);
    EXPECT_STREQ(pattern.shape, "") << email.substr(0, 100);
}

std::string repeated(const std::string& text, size_t times) {
    std::string result;
    for (size_t i = 0; i < times; ++i) result += text;
    return result;
}

// ---- shapes --------------------------------------------------------------------------------------------------

TEST(EmailPattern, GeneralisesTheLocalPart) {
    for (const auto& [local, shape] : std::vector<std::pair<std::string, std::string>>{
             {"anna.k81", "a9"},
             {"omar.t23", "a9"},
             {"ANNA", "a"},
             {"1234", "9"},
             {"a1b2", "a9a9"},
             {"john.doe+news", "a"},
             {"a+b+c", "a"},
             {"+tag", ""},
             {"...", ""},
             {"1.2.3", "9"},
             {"first_last", "a_a"},
             {"first__last", "a_a"},
             {"first_.last", "a_a"},
             {"first_-_last", "a_-_a"},
             {"j\xC3\xBCrgen7", "a9"},  // a letter beyond ASCII
             {"\xE6\x97\xA5\xE6\x9C\xAC", "a"},
             {"ab\xFF\xFE"
              "3",
              "a9"},  // not UTF-8
             {"a\x01\x02"
              "b",
              "a\x01\x02"
              "a"},  // control bytes are characters like any other
             {"\"a b\"", "\"a a\""},
             {"a@b", "a@a"},
             {"x@@y@", "a@a@"},
         }) {
        EXPECT_EQ(shape_of(local), shape) << local;
    }
}

TEST(EmailPattern, TruncatesTheShape) {
    EXPECT_EQ(shape_of(repeated("a1", 63)).size(), 126U);
    EXPECT_EQ(shape_of(repeated("a1", 64)).size(), 127U);
    EXPECT_EQ(shape_of(repeated("a1", 500'000)), repeated("a9", 63) + "a");
    EXPECT_EQ(shape_of(std::string(1'000'000, 'q')), "a");
}

// ---- domains -------------------------------------------------------------------------------------------------

TEST(EmailPattern, NormalisesTheDomain) {
    for (const auto& [domain, normal] : std::vector<std::pair<std::string, std::string>>{
             {"Example.COM", "example.com"},
             {"example.com.", "example.com"},
             {"localhost", "localhost"},
             {"a-b_c.example", "a-b_c.example"},
             {"xn--bcher-kva.DE", "xn--bcher-kva.de"},
             {"B\xC3\x9C"
              "CHER.De",
              "b\xC3\xBC"
              "cher.de"},
             {"\xEF\xBD\x87mail\xEF\xBC\x8E"
              "com",
              "gmail.com"},  // full-width g and dot
             {"[192.0.2.1]", "[192.0.2.1]"},
             {"[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"},
             {"192.0.2.1", "192.0.2.1"},
         }) {
        EXPECT_EQ(domain_of(domain), normal) << domain;
    }
    EXPECT_STREQ(pattern_of("a@b@c@Example.com").domain, "example.com");
}

TEST(EmailPattern, FindsTheRegistrableDomain) {
    for (const auto& [domain, registrable] : std::vector<std::pair<std::string, std::string>>{
             {"example.com", "example.com"},
             {"mail.eu.example.com", "example.com"},
             {"mail.Example.co.UK.", "example.co.uk"},
             {"co.uk", ""},
             {"com", ""},
             {"localhost", ""},
             {"someone.github.io", "someone.github.io"},
             {"github.io", ""},
             {"a.www.ck", "www.ck"},  // an exception of a wildcard
             {"a.b.ck", "a.b.ck"},
             {"mail.example.unknown", "example.unknown"},
             {"a.b.\xE5\x85\xAC\xE5\x8F\xB8.cn", "b.\xE5\x85\xAC\xE5\x8F\xB8.cn"},
             {"a.b.xn--55qx5d.cn", "b.xn--55qx5d.cn"},
             {"192.0.2.1", ""},
             {"[192.0.2.1]", ""},
             {"[IPv6:2001:db8::1]", ""},
         }) {
        EXPECT_EQ(registrable_of(domain), registrable) << domain;
    }
}

TEST(EmailPattern, ANameHasItsLengths) {
    const std::string label(63, 'a');
    EXPECT_EQ(domain_of(label + ".com"), label + ".com");
    expect_nothing("x@" + label + "a.com");
    const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
    ASSERT_EQ(longest.size(), 253U);
    EXPECT_EQ(domain_of(longest), longest);
    EXPECT_EQ(domain_of(longest + "."), longest);
    expect_nothing("x@a" + longest);
}

// ---- what is not an address ----------------------------------------------------------------------------------

TEST(EmailPattern, IgnoresThePaddingOfAFixedLength) {
    const std::string padded = "anna@example.com   ";
    EmailPattern pattern;
    email_pattern({reinterpret_cast<const unsigned char*>(padded.data()), static_cast<uint32_t>(padded.size())},
                  &pattern);
    EXPECT_STREQ(pattern.registrable_domain, "example.com");
}

TEST(EmailPattern, IsEmptyForWhatIsNoAddress) {
    for (const char* email : {"",
                              "@",
                              "@@",
                              "plain",
                              "@example.com",
                              "a@",
                              "a@.",
                              "a@..",
                              "a@.com",
                              "a@a..com",
                              "a@com..",
                              "a@exa mple.com",

                              "a@example.com\n",
                              "a@exam\x01ple.com",
                              "a@ex\x7F.com",
                              "a@example.com>",
                              "a@exam/ple.com",
                              "a@[",
                              "a@[]",
                              "a@]",
                              "a@[1.2.3.4",
                              "a@[1 2]",
                              "a@x[1]",
                              "a@b:c",
                              "a@\"b\"",
                              "a@b,c@d;e"}) {
        expect_nothing(email);
    }
    expect_nothing(std::string("a@exam\0ple.com", 14));
}

TEST(EmailPattern, IsEmptyForInvalidUtf8) {
    for (const char* domain :
         {"\x80.com", "a\xC3.com", "\xC0\xAF.com", "\xE0\x80\xAF.com", "\xED\xA0\x80.com", "\xF4\x90\x80\x80.com",
          "\xF5\x80\x80\x80.com", "\xFF.com", "com.\xE6\x97", "\xC2\x85.com", "\xF0\x8F\xBF\xBF.com"}) {
        expect_nothing(std::string("a@") + domain);
    }
}

// Compatibility forms that turn into what a name cannot contain.
TEST(EmailPattern, IsEmptyForAnInvalidNormalForm) {
    expect_nothing(
        "a@b\xEF\xBC\xA0"
        "c.com");  // full-width @
    expect_nothing(
        "a@b\xEF\xBC\x8F"
        "c.com");                          // full-width /
    expect_nothing("a@\xEF\xBC\x8E.com");  // full-width dot: an empty label
    expect_nothing("a@\xEF\xB7\xBA.com");  // U+FDFA contains spaces
}

TEST(EmailPattern, SurvivesNamesThatGrow) {
    expect_nothing("a@" + repeated("\xEF\xB7\xBA", 84));  // U+FDFA, eleven times as long in its normal form
    expect_nothing("a@" + repeated("\xE3\x8C\x96", 84));  // U+3316, six times
    EXPECT_EQ(domain_of(repeated("\xE3\x8C\x96", 3) + ".jp").size(), 57U);
    const std::string label = repeated("\xE6\x97\xA5", 70);
    EXPECT_EQ(domain_of(label + ".jp"), label + ".jp");
}

TEST(EmailPattern, SurvivesAMegabyte) {
    const size_t megabyte = 1 << 20;
    expect_nothing(std::string(megabyte, 'a'));
    expect_nothing(std::string(megabyte, '@'));
    expect_nothing("a@" + std::string(megabyte, 'a'));
    expect_nothing("a@" + repeated("a.", megabyte / 2));
    expect_nothing("a@" + repeated("\xC3\xBC", megabyte / 2));
    EXPECT_STREQ(pattern_of(std::string(megabyte, '.') + "@example.com").domain, "example.com");
    EXPECT_STREQ(pattern_of(std::string(megabyte, '@') + "example.com").shape, "@");
}

TEST(EmailPattern, SurvivesRandomBytes) {
    std::mt19937 random(20000101);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
    const std::vector<std::string> pieces{
        "@",    ".",        "a",        "Z9",           "+",   "-",     "\xC3\x9C", "\xEF\xB7\xBA",
        "\xCC", "\xF0\x9F", "\x80\xAF", "\xEF\xBC\x8E", "com", "co.uk", "[",        "\x01",
        "]",    "xn--",     " ",        "\xCC\x88",     "ck"};
    for (int round = 0; round < 20'000; ++round) {
        std::string email;
        for (size_t i = random() % 40; i > 0; --i)
            email += random() % 8 == 0 ? std::string(1, static_cast<char>(1 + random() % 255))
                                       : pieces[random() % pieces.size()];
        const EmailPattern pattern = pattern_of(email);
        const std::string domain = pattern.domain;
        const std::string registrable = pattern.registrable_domain;
        ASSERT_TRUE(domain.ends_with(registrable)) << email;
        ASSERT_TRUE(!domain.empty() || pattern.shape[0] == '\0') << email;
        // A normal domain stays what it is.
        if (!domain.empty()) {
            ASSERT_EQ(domain_of(domain), domain) << email;
        }
    }
}

}  // namespace
}  // namespace raxx
