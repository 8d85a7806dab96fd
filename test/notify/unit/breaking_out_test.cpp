// Texts from outside break out of nothing: not of a log's line, a mail's header, or the folder of a log; and no
// secret gets into any of them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "notify/database.h"
#include "notify/log.h"
#include "notify/secrets.h"
#include "notify/sinks/log_file.h"
#include "notify/sinks/mail_message.h"

namespace raxx::notify {
namespace {

namespace fs = std::filesystem;

TEST(Log, OneLineWithoutSecrets) {
    const Secret secret("xoxb-very-secret");
    const std::string line =
        log_line(Level::error, "failed",
                 {{"error", "token \"xoxb-very-secret\"\r\n{\"event\": \"forged\"}\x1b[31m \xff\xfe"},
                  {"n", 5},
                  {"nested", {{"x", "xoxb-very-secret"}}}});
    EXPECT_EQ(line.find("very-secret"), std::string::npos) << line;
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    const json parsed = json::parse(line);
    EXPECT_EQ(parsed["event"], "failed");
    EXPECT_EQ(parsed["n"], 5);
    EXPECT_NE(line.find("[secret]"), std::string::npos);
}

TEST(Log, PrintableIsBoundedAndValid) {
    EXPECT_EQ(printable("a\tb\r\n"), "a b");
    const std::string cut = printable(std::string(200, 'x') + std::string("\xc3\xa4"), 201);
    EXPECT_EQ(cut, std::string(200, 'x') + "...");
    EXPECT_EQ(printable("\xff"), "\xef\xbf\xbd");
    EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a b");
}

TEST(Secrets, FromFile) {
    const std::string path = testing::TempDir() + "raxx_secret_" + std::to_string(getpid());
    std::ofstream(path) << "first-line-secret\r\n";
    ASSERT_EQ(chmod(path.c_str(), 0600), 0);
    EXPECT_EQ(secret_from_file(path).reveal(), "first-line-secret");
    EXPECT_EQ(redacted("is first-line-secret, and first-line-secret"), "is [secret], and [secret]");
    ASSERT_EQ(chmod(path.c_str(), 0604), 0);
    EXPECT_THROW((void)secret_from_file(path), SecretError);
    // systemd's credentials can be read by their group, which is an access list.
    ASSERT_EQ(chmod(path.c_str(), 0440), 0);
    EXPECT_THROW((void)secret_from_file(path), SecretError);
    setenv("CREDENTIALS_DIRECTORY", fs::path(path).parent_path().c_str(), 1);
    EXPECT_EQ(secret_from_file(path).reveal(), "first-line-secret");
    unsetenv("CREDENTIALS_DIRECTORY");
}

// Each line of a folded header begins with a space, but for the first.
void expect_one_header(const std::string& text) {
    for (size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte == '\r') {
            ASSERT_EQ(text.substr(at, 3), "\r\n ") << text;
            ++at;
        } else {
            ASSERT_TRUE(byte >= 0x20 && byte < 0x7f) << text;
        }
    }
}

TEST(MailHeaders, NothingIsInjected) {
    EXPECT_EQ(header_text("HIGH: 60 sign-ups"), "HIGH: 60 sign-ups");
    EXPECT_EQ(header_text("a\r\nBcc: victim@example.com"), "a Bcc: victim@example.com");
    EXPECT_EQ(header_text("a\n\nbody"), "a body");
    EXPECT_EQ(header_text("\xc3\xa4"), "=?utf-8?B?w6Q=?=");
    EXPECT_EQ(header_text("=?utf-8?B?w6Q=?="), "=?utf-8?B?PT91dGYtOD9CP3c2UT0/PQ==?=");
    EXPECT_EQ(header_text(""), "");
    for (const std::string& text : {std::string("x\r\n\r\n<script>"), std::string(5000, 'x'),
                                    std::string(500, '\xe4'), std::string("\0\x7f\x80 y", 5), [] {
                                        std::string long_text;
                                        for (int i = 0; i < 100; ++i)
                                            long_text += "w\xc3\xb6rter und \xe2\x82\xac ";
                                        return long_text;
                                    }()}) {
        expect_one_header(header_text(text));
    }
}

TEST(MailHeaders, LinesAreShort) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "word" + std::to_string(i) + " \xc3\xa4 ";
    std::istringstream lines(header_text(text));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 78U) << line;
}

TEST(MailHeaders, MessageIds) {
    EXPECT_EQ(message_id("5e1d8b0a-0000-4000-8000-000000000001", "example.com"),
              "<5e1d8b0a-0000-4000-8000-000000000001@example.com>");
    const std::string other = message_id("a>\r\nBcc: b@c", "example.com");
    EXPECT_TRUE(is_message_id(other)) << other;
    EXPECT_EQ(message_id("a>\r\nBcc: b@c", "example.com"), other);
    EXPECT_NE(message_id("a>\r\nBcc: b@d", "example.com"), other);
    EXPECT_FALSE(is_message_id("<a@b>\r\nBcc: c@d.example"));
    EXPECT_FALSE(is_message_id("<a b@c.example>"));
    EXPECT_FALSE(is_message_id("a@b.example"));
}

TEST(MailHeaders, DateAndLines) {
    EXPECT_EQ(header_date(1'445'412'480), "Wed, 21 Oct 2015 07:28:00 +0000");
    EXPECT_EQ(with_crlf("a\nb\r\nc\rd"), "a\r\nb\r\nc\r\nd");
}

TEST(MailHeaders, Recipients) {
    MailSettings settings;
    settings.domain = "example.com";
    EXPECT_EQ(recipient(settings, "ops@"), "ops@example.com");
    EXPECT_EQ(recipient(settings, "x@y.example"), "x@y.example");
    EXPECT_EQ(recipient(settings, "x@y.example>\r\nRCPT TO:<z@y.example"), "");
    EXPECT_EQ(recipient(settings, "@"), "");
}

TEST(ArrayLiteral, Quotes) { EXPECT_EQ(array_literal({"a", "b\"\\,{}", ""}), R"({"a","b\"\\,{}",""})"); }

class LogFile : public testing::Test {
  protected:
    void SetUp() override {
        root_ = fs::path(testing::TempDir()) / ("raxx_log_" + std::to_string(getpid()));
        fs::remove_all(root_);
        fs::create_directory(root_);
    }
    void TearDown() override { fs::remove_all(root_); }
    [[nodiscard]] std::string content(const std::string& path) const {
        std::ostringstream text;
        text << std::ifstream(root_ / path).rdbuf();
        return text.str();
    }
    Appended append(const std::vector<std::string>& folders, int64_t day, const std::string& key,
                    std::optional<int64_t> also = std::nullopt) {
        return append_once(root_, folders, day, also, key, "<!-- raxx " + key + " -->\ntext\n");
    }
    fs::path root_;
};

TEST_F(LogFile, Addresses) {
    EXPECT_EQ(folders_of("docs/detections/_log"), (std::vector<std::string>{"docs", "detections", "_log"}));
    EXPECT_EQ(folders_of("log/"), (std::vector<std::string>{"log"}));
    for (const char* bad : {"", "/", "/etc", "..", "a/../b", "a/..", "../a", ".", "a/./b", "a//b", "a\\b", "a\nb"})
        EXPECT_FALSE(folders_of(bad)) << bad;
    EXPECT_FALSE(folders_of(std::string(200, 'x')));
}

TEST_F(LogFile, Once) {
    EXPECT_EQ(append({"a", "b"}, 20'000, "k1"), Appended::yes);
    EXPECT_EQ(append({"a", "b"}, 20'000, "k1"), Appended::was_there);
    EXPECT_EQ(append({"a", "b"}, 20'000, "k2"), Appended::yes);
    EXPECT_EQ(content("a/b/2024/10/2024-10-04.md"), "<!-- raxx k1 -->\ntext\n<!-- raxx k2 -->\ntext\n");
    // The night between two attempts.
    EXPECT_EQ(append({"a", "b"}, 20'001, "k2", 20'000), Appended::was_there);
    EXPECT_EQ(append({"a", "b"}, 20'001, "k3", 20'000), Appended::yes);
    EXPECT_EQ(content("a/b/2024/10/2024-10-05.md"), "<!-- raxx k3 -->\ntext\n");
}

TEST_F(LogFile, AKeyInATextIsNone) {
    EXPECT_EQ(append_once(root_, {"a"}, 20'000, std::nullopt, "k1",
                          "k2 &lt;!-- k2 --> " + std::string(100'000, 'x') + "\n"),
              Appended::yes);
    EXPECT_EQ(append({"a"}, 20'000, "k2"), Appended::yes);
    EXPECT_EQ(append({"a"}, 20'000, "k2"), Appended::was_there);
}

TEST_F(LogFile, OfManyAtOnceOneWrites) {
    std::atomic<int> written = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int key = 0; key < 20; ++key)
                written += append({"a"}, 20'000, "key" + std::to_string(key) + "!") == Appended::yes ? 1 : 0;
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(written, 20);
}

TEST_F(LogFile, LinksAreNotFollowed) {
    fs::create_directory(root_ / "outside");
    fs::create_directory_symlink(root_ / "outside", root_ / "link");
    EXPECT_THROW((void)append({"link"}, 20'000, "k"), std::system_error);
    ASSERT_EQ(append({"a"}, 20'000, "k"), Appended::yes);
    fs::remove(root_ / "a/2024/10/2024-10-04.md");
    fs::create_symlink(root_ / "victim", root_ / "a/2024/10/2024-10-04.md");
    EXPECT_THROW((void)append({"a"}, 20'000, "k"), std::system_error);
    EXPECT_FALSE(fs::exists(root_ / "victim"));
    EXPECT_TRUE(fs::is_empty(root_ / "outside"));
}

}  // namespace
}  // namespace raxx::notify
