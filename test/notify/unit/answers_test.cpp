// What counterparts' answers mean for a delivery: tried again, given up, or in doubt.
#include <gtest/gtest.h>

#include "notify/http.h"
#include "notify/sinks/mail_message.h"
#include "notify/sinks/slack_answer.h"
#include "notify/sinks/webhook.h"

namespace raxx::notify {
namespace {

using std::chrono::seconds;

HttpAnswer answer(long status, const std::string& body = "") {
    HttpAnswer result;
    result.status = status;
    result.body = body;
    result.sent = true;
    return result;
}

HttpAnswer broken(bool sent) {
    HttpAnswer result;
    result.error = "connection reset";
    result.sent = sent;
    return result;
}

// delivered, permanent, uncertain or retry; in capitals where the channel is at fault.
std::string summary(const Outcome& outcome) {
    if (outcome.delivered) return "delivered";
    EXPECT_FALSE(outcome.error.empty());
    EXPECT_FALSE(outcome.permanent && outcome.maybe_sent);
    if (outcome.permanent) return outcome.channel_at_fault ? "PERMANENT" : "permanent";
    if (outcome.maybe_sent) return outcome.channel_at_fault ? "UNCERTAIN" : "uncertain";
    return outcome.channel_at_fault ? "RETRY" : "retry";
}

std::string post(const std::string& body, long status = 200) { return summary(judge_post(answer(status, body))); }
std::string slack_error(const std::string& error) { return post(R"({"ok": false, "error": ")" + error + "\"}"); }

TEST(Slack, Delivered) {
    const Outcome outcome = judge_post(answer(200, R"({"ok": true, "channel": "C1", "ts": "1.2"})"));
    EXPECT_TRUE(outcome.delivered);
    EXPECT_EQ(outcome.provider, (json{{"channel", "C1"}, {"ts", "1.2"}}));
}

TEST(Slack, Errors) {
    EXPECT_EQ(slack_error("invalid_auth"), "PERMANENT");
    EXPECT_EQ(slack_error("channel_not_found"), "PERMANENT");
    EXPECT_EQ(slack_error("is_archived"), "PERMANENT");
    EXPECT_EQ(slack_error("not_in_channel"), "PERMANENT");
    EXPECT_EQ(slack_error("msg_too_long"), "permanent");
    EXPECT_EQ(slack_error("invalid_blocks"), "permanent");
    EXPECT_EQ(slack_error("ratelimited"), "retry");
    EXPECT_EQ(slack_error("service_unavailable"), "RETRY");
    EXPECT_EQ(slack_error("internal_error"), "UNCERTAIN");
    EXPECT_EQ(slack_error("fatal_error"), "UNCERTAIN");
}

TEST(Slack, AnswersThatAreNone) {
    EXPECT_EQ(post("{\"ok\": tru"), "UNCERTAIN");
    EXPECT_EQ(post(""), "UNCERTAIN");
    EXPECT_EQ(post("[1]"), "UNCERTAIN");
    EXPECT_EQ(post("{\"ok\": false}"), "UNCERTAIN");
    EXPECT_EQ(post("{\"ok\": \"true\"}"), "UNCERTAIN");
    EXPECT_EQ(post("", 500), "UNCERTAIN");
    EXPECT_EQ(post("", 503), "RETRY");
    EXPECT_EQ(post("", 302), "permanent");
    HttpAnswer cut = answer(200, R"({"ok": true})");
    cut.cut = true;
    EXPECT_EQ(summary(judge_post(cut)), "UNCERTAIN");
    EXPECT_EQ(summary(judge_post(broken(true))), "UNCERTAIN");
    EXPECT_EQ(summary(judge_post(broken(false))), "RETRY");
}

TEST(Slack, RetryAfter) {
    HttpAnswer limited = answer(429, R"({"ok": false, "error": "ratelimited"})");
    limited.retry_after = seconds(30);
    const Outcome outcome = judge_post(limited);
    EXPECT_EQ(summary(outcome), "retry");
    EXPECT_EQ(outcome.retry_after, seconds(30));
}

TEST(Slack, Hooks) {
    EXPECT_EQ(summary(judge_hook(answer(200, "ok"))), "delivered");
    EXPECT_EQ(summary(judge_hook(answer(400, "invalid_payload"))), "permanent");
    EXPECT_EQ(summary(judge_hook(answer(404, "no_service"))), "PERMANENT");
    EXPECT_EQ(summary(judge_hook(answer(410, "channel_is_archived"))), "PERMANENT");
    EXPECT_EQ(summary(judge_hook(answer(500, "rollup_error"))), "UNCERTAIN");
}

TEST(Slack, History) {
    const json messages = json::parse(
        R"([{"ts": "3.0", "text": "k1"}, {"ts": "2.0", "metadata": {"event_payload": {"idempotency_key": "k2"}}}, 5, null,
        {"metadata": {"event_payload": {"idempotency_key": "k3"}}}, {"ts": "1.0", "metadata": "k1"}])");
    EXPECT_EQ(find_message(messages, "k2")["ts"], "2.0");
    EXPECT_TRUE(find_message(messages, "k1").is_null());
    EXPECT_TRUE(find_message(messages, "k3").is_null());
    const HistoryPage page =
        judge_history(answer(200, R"({"ok": true, "messages": [], "response_metadata": {"next_cursor": "c"}})"));
    EXPECT_TRUE(page.usable);
    EXPECT_EQ(page.next, "c");
    const HistoryPage denied = judge_history(answer(200, R"({"ok": false, "error": "missing_scope"})"));
    EXPECT_TRUE(denied.no_scope && !denied.usable);
    EXPECT_FALSE(judge_history(answer(200, "nonsense")).usable);
    EXPECT_FALSE(judge_history(broken(true)).usable);
}

TEST(Webhook, Statuses) {
    const auto of = [](long status) { return summary(judge_webhook(answer(status))); };
    EXPECT_EQ(of(200), "delivered");
    EXPECT_EQ(of(204), "delivered");
    EXPECT_EQ(of(302), "PERMANENT");
    EXPECT_EQ(of(400), "permanent");
    EXPECT_EQ(of(401), "PERMANENT");
    EXPECT_EQ(of(404), "PERMANENT");
    EXPECT_EQ(of(422), "permanent");
    EXPECT_EQ(of(408), "UNCERTAIN");
    EXPECT_EQ(of(425), "retry");
    EXPECT_EQ(of(429), "retry");
    EXPECT_EQ(of(500), "RETRY");
    EXPECT_EQ(of(502), "UNCERTAIN");
    EXPECT_EQ(of(503), "RETRY");
    EXPECT_EQ(of(504), "UNCERTAIN");
    EXPECT_EQ(summary(judge_webhook(broken(true))), "UNCERTAIN");
    EXPECT_EQ(summary(judge_webhook(broken(false))), "RETRY");
}

// By Python: hmac.new(b'key', b'1700000000.{"a":1}', 'sha256').hexdigest()
TEST(Webhook, Signature) {
    EXPECT_EQ(signature(Secret("key"), 1700000000, R"({"a":1})"),
              "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03");
}

MailTransfer transfer(const std::string& reply, bool data_started) {
    MailTransfer result;
    result.error = "failed";
    result.reply = reply;
    result.data_started = data_started;
    return result;
}

TEST(MailAnswers, Replies) {
    MailTransfer good;
    good.ok = true;
    EXPECT_EQ(summary(judge_mail(good)), "delivered");
    EXPECT_EQ(summary(judge_mail(transfer("451 4.3.0 later", false))), "RETRY");
    EXPECT_EQ(summary(judge_mail(transfer("451 4.3.0 later", true))), "RETRY");
    EXPECT_EQ(summary(judge_mail(transfer("550 5.1.1 no such user", false))), "permanent");
    EXPECT_EQ(summary(judge_mail(transfer("554 5.7.1 refused", true))), "permanent");
    EXPECT_EQ(summary(judge_mail(transfer("", false))), "RETRY");
    EXPECT_EQ(summary(judge_mail(transfer("250 OK", false))), "RETRY");
    EXPECT_EQ(summary(judge_mail(transfer("354 go on", true))), "UNCERTAIN");
    MailTransfer denied = transfer("535 5.7.8 wrong", false);
    denied.login_denied = true;
    EXPECT_EQ(summary(judge_mail(denied)), "PERMANENT");
    MailTransfer expired = transfer("220 ready", false);
    expired.tls_failed = true;
    EXPECT_EQ(summary(judge_mail(expired)), "RETRY");
}

TEST(RetryAfter, BothForms) {
    using std::chrono::system_clock;
    const system_clock::time_point now = system_clock::from_time_t(1'445'412'480);  // Wed, 21 Oct 2015 07:28:00 GMT
    const auto of = [now](const char* text) { return parse_retry_after(text, now); };
    EXPECT_EQ(of("0"), seconds(0));
    EXPECT_EQ(of(" 120 "), seconds(120));
    EXPECT_EQ(of("Wed, 21 Oct 2015 07:28:30 GMT"), seconds(30));
    EXPECT_EQ(of("Wed, 21 Oct 2015 07:27:00 GMT"), seconds(0));
    EXPECT_EQ(of("999999"), seconds(3600));
    EXPECT_EQ(of("99999999999999999999999"), seconds(3600));
    EXPECT_EQ(of("Wed, 21 Oct 2099 07:28:30 GMT"), seconds(3600));
    EXPECT_EQ(of("-5"), std::nullopt);
    EXPECT_EQ(of(""), std::nullopt);
    EXPECT_EQ(of("soon"), std::nullopt);
}

}  // namespace
}  // namespace raxx::notify
