// Texts made harmless, one by one.
#include "notify/render/escape.h"

#include <gtest/gtest.h>

namespace raxx::notify {
namespace {

TEST(OneLine, LeavesPlainTextAlone) {
    EXPECT_EQ(one_line("a9@gmail.com", 80), "a9@gmail.com");
    EXPECT_EQ(one_line("Gr\xc3\xbc\xc3\x9f \xe4\xb8\xad \xf0\x9f\x98\x80", 80),
              "Gr\xc3\xbc\xc3\x9f \xe4\xb8\xad \xf0\x9f\x98\x80");
}

TEST(OneLine, BreaksAreBlanks) {
    EXPECT_EQ(one_line("a\r\nb\tc\vd", 80), "a  b c d");
    EXPECT_EQ(one_line("a\xe2\x80\xa8"
                       "b\xc2\x85"
                       "c",
                       80),
              "a b c");
    EXPECT_EQ(one_line("\n a \n", 80), "a");
}

TEST(OneLine, ControlsAndDirectionsAreShownAsQuestionMarks) {
    EXPECT_EQ(one_line(std::string_view("a\0b\x1b[31m\x7f", 9), 80), "a?b?[31m?");
    EXPECT_EQ(one_line("abc\xe2\x80\xae"
                       "fed",
                       80),
              "abc?fed");  // right-to-left override
    EXPECT_EQ(one_line("a\xe2\x81\xa6"
                       "b\xe2\x81\xa9",
                       80),
              "a?b?");  // isolates
    EXPECT_EQ(one_line("a\xe2\x80\x8b"
                       "b\xef\xbb\xbf",
                       80),
              "a?b?");  // zero width
    EXPECT_EQ(one_line("a\xf3\xa0\x81\x81"
                       "b",
                       80),
              "a?b");  // tag characters
}

TEST(OneLine, WhatIsNotUtf8IsAQuestionMarkEach) {
    EXPECT_EQ(one_line("a\xff"
                       "b",
                       80),
              "a?b");
    EXPECT_EQ(one_line("\xc0\xaf", 80), "??");  // too long a form
    EXPECT_EQ(one_line("\xe0\x80\xaf", 80), "???");
    EXPECT_EQ(one_line("\xed\xa0\x80", 80), "???");       // a surrogate
    EXPECT_EQ(one_line("\xf4\x90\x80\x80", 80), "????");  // beyond the last character
    EXPECT_EQ(one_line("a\xe4\xb8", 80), "a??");          // cut off
}

TEST(OneLine, IsCutAtACharacter) {
    EXPECT_EQ(one_line("abcdefgh", 8), "abcdefgh");
    EXPECT_EQ(one_line("abcdefghi", 8), "abcde...");
    EXPECT_EQ(one_line("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa4", 4), "\xc3\xa4...");
    EXPECT_EQ(characters(one_line(std::string(100'000, 'x'), 600)), 600U);
}

TEST(LinesOf, AreBoundedAndNotBlank) {
    EXPECT_EQ(lines_of("1. a\n\n  \n2. b\r\n3. c", 80, 2), (std::vector<std::string>{"1. a", "2. b"}));
    EXPECT_TRUE(lines_of("", 80, 2).empty());
}

TEST(Wrap, BreaksAtBlanksOnly) {
    EXPECT_EQ(wrap("aa bb cc", 5), (std::vector<std::string>{"aa bb", "cc"}));
    EXPECT_EQ(wrap("aaaaaaaa b", 5), (std::vector<std::string>{"aaaaaaaa", "b"}));
    EXPECT_EQ(wrap("", 5), (std::vector<std::string>{""}));
}

TEST(Escapes, ByPlace) {
    EXPECT_EQ(html_text("<a href=\"x\" o='y'>&"), "&lt;a href=&quot;x&quot; o=&#39;y&#39;&gt;&amp;");
    EXPECT_EQ(slack_text("<!channel> & <@U1>"), "&lt;!channel&gt; &amp; &lt;@U1&gt;");
    EXPECT_EQ(markdown_text("*b* `c` [l](http://x) <i> a_b _c_ |"),
              "\\*b\\* \\`c\\` \\[l\\](http&#58;//x) &lt;i&gt; a_b \\_c\\_ \\|");
    EXPECT_EQ(markdown_text("12. x"), "12\\. x");
    EXPECT_EQ(markdown_text("12 x. y"), "12 x. y");
    EXPECT_EQ(markdown_text("# x"), "\\# x");
    EXPECT_EQ(markdown_text("- x"), "\\- x");
    EXPECT_EQ(markdown_text("www.x.y, me@x.y"), "www&#46;x.y, me&#64;x.y");
}

TEST(Escapes, WebAddresses) {
    EXPECT_TRUE(is_web_address("https://console.example/findings/12?a=b&c=d#e"));
    for (const char* bad : {"javascript:alert(1)", "http://a b", "https://a\"b", "https://a>b", "https://a'b",
                            "data:text/html,x", "", "//x", "https://\xc3\xa4.example", "https://a\nb"})
        EXPECT_FALSE(is_web_address(bad)) << bad;
    EXPECT_FALSE(is_web_address("https://" + std::string(3000, 'a')));
}

}  // namespace
}  // namespace raxx::notify
