// The configuration: what is right is understood, and what is wrong is named by file, line and key.
#include "notify/configuration.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <regex>

namespace raxx::notify {
namespace {

const char* const kLeast = "[database]\nconnection = \"dbname=app\"\n";

std::string error_of(const std::string& text) {
    try {
        (void)parse_configuration(text, "n.toml");
    } catch (const ConfigurationError& error) {
        return error.what();
    }
    return "none";
}

std::string temporary_file(const std::string& content, mode_t mode) {
    static int number = 0;
    const std::string path =
        testing::TempDir() + "raxx_notify_" + std::to_string(getpid()) + "_" + std::to_string(++number);
    std::ofstream(path) << content;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
}

TEST(Configuration, Least) {
    const Configuration configuration = parse_configuration(kLeast, "n.toml");
    EXPECT_EQ(configuration.database.connection, "dbname=app");
    EXPECT_EQ(configuration.service.lease, std::chrono::minutes(2));
    EXPECT_TRUE(configuration.service.digest);
    EXPECT_FALSE(configuration.slack || configuration.mail || configuration.markdown ||
                 configuration.standard_output);
}

TEST(Configuration, Everything) {
    setenv("RAXX_TEST_TOKEN", "xoxb-1-secret", 1);
    const std::string hook = temporary_file("https://hooks.example/services/T/B/x\n", 0600);
    const Configuration configuration = parse_configuration(std::string(kLeast) + R"(
statement_timeout = "10s"
[service]
name = "one"
poll = "250ms"
lease = "1m"
digest = false
metrics = "127.0.0.1:9187"
channels = ["a", "b"]
[network]
timeout = "3s"
connect_timeout = "500ms"
[slack]
token_env = "RAXX_TEST_TOKEN"
api = "http://127.0.0.1:8080/api/"
hooks.sev1.url_file = ")" + hook + R"("
[webhook.siem]
url = "https://siem.example/in"
signing_secret_env = "RAXX_TEST_TOKEN"
[mail]
server = "smtp.example.com:2525"
from = "alerts@example.com"
[markdown]
root = "/var/log/raxx"
[stdout]
)",
                                                            "n.toml");
    EXPECT_EQ(configuration.service.channels.size(), 2U);
    EXPECT_EQ(configuration.service.metrics_port, 9187);
    EXPECT_EQ(configuration.network.connect_timeout, milliseconds(500));
    ASSERT_TRUE(configuration.slack);
    EXPECT_EQ(configuration.slack->api, "http://127.0.0.1:8080/api");
    EXPECT_EQ(configuration.slack->token.reveal(), "xoxb-1-secret");
    EXPECT_EQ(configuration.slack->hooks.at("sev1").reveal(), "https://hooks.example/services/T/B/x");
    EXPECT_EQ(configuration.webhooks.at("siem").signing_secret.reveal(), "xoxb-1-secret");
    ASSERT_TRUE(configuration.mail);
    EXPECT_EQ(configuration.mail->host, "smtp.example.com");
    EXPECT_EQ(configuration.mail->port, 2525);
    EXPECT_EQ(configuration.mail->tls, MailTls::starttls);
    EXPECT_EQ(configuration.mail->domain, "example.com");
    EXPECT_TRUE(configuration.standard_output);
}

TEST(Configuration, ErrorsNameFileLineAndKey) {
    const std::string least = kLeast;
    EXPECT_EQ(error_of(least + "timeout = \"3s\"\n"), "n.toml:3: database.timeout: there is no such setting");
    EXPECT_EQ(error_of(least + "\n[sevice]\n"), "n.toml:4: sevice: there is no such setting");
    EXPECT_EQ(error_of(least + "[service]\npoll = 3\n"), "n.toml:4: service.poll: has to be a text");
    EXPECT_EQ(error_of(least + "[service]\npoll = \"3 s\"\n"),
              "n.toml:4: service.poll: is not a duration like \"250ms\", \"30s\", \"2m\" or \"1h\"");
    EXPECT_EQ(error_of(least + "[service]\npoll = \"1h\"\n"),
              "n.toml:4: service.poll: has to be between 200 and 300000 ms");
    EXPECT_EQ(error_of(least + "[service]\nlease = \"20s\"\n"),
              "n.toml:4: service.lease: has to be at least 70000 ms: twice network.timeout, and "
              "database.statement_timeout");
    EXPECT_EQ(error_of(least + "[service]\nmetrics = \"0.0.0.0:9187\"\n"),
              "n.toml:4: service.metrics: has to be an address of this machine, like 127.0.0.1 or [::1]");
    EXPECT_EQ(error_of("[database]\nconnection = \"password=x\"\n"),
              "n.toml:2: database.connection: has a password in it: use password_env or password_file");
    EXPECT_EQ(error_of("[service]\n"), "n.toml:1: database: is missing");
    EXPECT_EQ(error_of("[database]\n"), "n.toml:1: database.connection: is missing");
    EXPECT_NE(error_of("[database\n").find("n.toml:1: "), std::string::npos);
    EXPECT_NE(error_of("[database]\nconnection = \"a\\nb\"\n").find("has a control character in it"),
              std::string::npos);
}

TEST(Configuration, SecretsAreElsewhere) {
    const std::string slack = std::string(kLeast) + "[slack]\n";
    EXPECT_NE(error_of(slack + "token = \"xoxb\"\n").find("n.toml:4: slack.token: secrets are not written here"),
              std::string::npos);
    EXPECT_EQ(error_of(slack), "n.toml:3: slack.token_file: is missing (or token_env, or hooks)");
    unsetenv("RAXX_TEST_NONE");
    EXPECT_EQ(error_of(slack + "token_env = \"RAXX_TEST_NONE\"\n"),
              "n.toml:4: slack.token_env: the environment variable RAXX_TEST_NONE is not set");
    const std::string open = temporary_file("a secret", 0640);
    EXPECT_EQ(error_of(slack + "token_file = \"" + open + "\"\n"),
              "n.toml:4: slack.token_file: \"" + open +
                  "\" can be read or written by others: its mode has to be 0600 or less");
    EXPECT_NE(error_of(slack + "token_file = \"/\"\n").find("is not a plain file"), std::string::npos);
    EXPECT_NE(error_of(slack + "token_file = \"" + temporary_file("\n", 0600) + "\"\n").find("is empty"),
              std::string::npos);
    EXPECT_NE(error_of(slack + "token_file = \"/nowhere\"\n").find("No such file"), std::string::npos);
}

TEST(Configuration, NoSecretLeavesInTheClear) {
    setenv("RAXX_TEST_TOKEN", "xoxb-1-secret", 1);
    const std::string least = kLeast;
    EXPECT_NE(error_of(least + "[slack]\ntoken_env = \"RAXX_TEST_TOKEN\"\napi = \"http://slack.example/api\"\n")
                  .find("has to begin with https://"),
              std::string::npos);
    EXPECT_NE(error_of(least + "[webhook.x]\nurl = \"ftp://127.0.0.1/\"\n")
                  .find("is not a URL that begins with https://"),
              std::string::npos);
    EXPECT_NE(error_of(least + "[webhook.x]\nurl = \"https://a:b@c.example/\"\n").find("has a user's name in it"),
              std::string::npos);
    EXPECT_NE(error_of(least + "[mail]\nserver = \"m.example\"\nfrom = \"a@b.example\"\ntls = \"none\"\nuser = "
                               "\"u\"\npassword_env = \"RAXX_TEST_TOKEN\"\n")
                  .find("would leave this machine in the clear"),
              std::string::npos);
    // What a webhook's file holds is not in the message.
    const std::string hook = temporary_file("http://hooks.example/T/SECRETPART", 0600);
    const std::string error = error_of(least + "[slack]\nhooks.x.url_file = \"" + hook + "\"\n");
    EXPECT_NE(error.find("has to begin with https://"), std::string::npos);
    EXPECT_EQ(error.find("SECRETPART"), std::string::npos);
}

// With everything in it that is only shown, but for the other ways to name a secret.
TEST(Configuration, ExampleIsRight) {
    std::ifstream file(std::string(RAXX_TEST_DIR) + "/../packaging/raxx-notify.toml");
    ASSERT_TRUE(file.good());
    const std::string secret = temporary_file("https://secret.example/x", 0600);
    const std::regex shown(R"(# (\[.*\]|\w+ = .*))");
    const std::regex credential(R"("/run/credentials/[^"]*")");
    std::string text;
    int keys = 0;
    for (std::string line; std::getline(file, line);) {
        std::smatch match;
        if (std::regex_match(line, match, shown)) line = match[1];
        if (line.find("_env = ") != std::string::npos) continue;
        keys += line.find(" = ") != std::string::npos && line[0] != '#' ? 1 : 0;
        text += std::regex_replace(line, credential, '"' + secret + '"') + "\n";
    }
    EXPECT_EQ(error_of(text), "none");
    EXPECT_EQ(keys, 28);
}

TEST(Configuration, MailAddresses) {
    for (const char* good : {"ops@example.com", "a.b+c@x-y.example"}) EXPECT_TRUE(is_mail_address(good)) << good;
    for (const char* bad :
         {"", "ops", "ops@", "@example.com", "a@b@c", "a b@c.example", "a@b.example\r\nBcc: x@y.example",
          "a@b.example,c@d.example", "<a@b.example>", "a@-b.example", "a@b.", "\"a\"@b.example"}) {
        EXPECT_FALSE(is_mail_address(bad)) << bad;
    }
}

}  // namespace
}  // namespace raxx::notify
