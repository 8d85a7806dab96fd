#include "notify/database.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstring>
#include <random>

#include "notify/log.h"

namespace raxx::notify {
namespace {

using std::chrono::steady_clock;

constexpr const char* kClaim =
    "SELECT delivery_id, lease, finding_id, channel, kind, address, event, severity, push, payload, "
    "idempotency_key, thread, attempt, possible_repeat "
    "FROM raxx_detect.claim_deliveries($1, $2::text[], $3::interval, $4::int)";
enum ClaimColumn {
    kId,
    kLease,
    kFinding,
    kChannel,
    kKind,
    kAddress,
    kEvent,
    kSeverity,
    kPush,
    kPayload,
    kKey,
    kThread,
    kAttempt,
    kRepeat
};

int64_t number(std::string_view text) {
    int64_t value = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

double real(const char* text) { return std::strtod(text, nullptr); }

std::string field(const Result& result, int row, int column) {
    return {PQgetvalue(result.get(), row, column), static_cast<size_t>(PQgetlength(result.get(), row, column))};
}

bool is_null(const Result& result, int row, int column) { return PQgetisnull(result.get(), row, column) != 0; }
bool is_true(const Result& result, int row, int column) { return field(result, row, column) == "t"; }

json json_field(const Result& result, int row, int column) {
    if (is_null(result, row, column)) return nullptr;
    return json::parse(field(result, row, column));
}

std::vector<Delivery> deliveries_of(const Result& result) {
    std::vector<Delivery> deliveries;
    for (int row = 0; row < PQntuples(result.get()); ++row) {
        Delivery delivery;
        delivery.id = number(field(result, row, kId));
        delivery.lease = field(result, row, kLease);
        if (!is_null(result, row, kFinding)) delivery.finding_id = number(field(result, row, kFinding));
        delivery.channel = field(result, row, kChannel);
        delivery.kind = field(result, row, kKind);
        delivery.address = field(result, row, kAddress);
        delivery.event = field(result, row, kEvent);
        delivery.severity = field(result, row, kSeverity);
        delivery.push = is_true(result, row, kPush);
        delivery.payload = json_field(result, row, kPayload);
        delivery.key = field(result, row, kKey);
        delivery.thread = json_field(result, row, kThread);
        delivery.attempt = static_cast<int>(number(field(result, row, kAttempt)));
        delivery.possible_repeat = is_true(result, row, kRepeat);
        deliveries.push_back(std::move(delivery));
    }
    return deliveries;
}

std::string interval(milliseconds duration) { return fmt::format("{} milliseconds", duration.count()); }
std::string yes_or_no(bool value) { return value ? "t" : "f"; }

// Without DETAIL, which may hold what is in rows.
[[noreturn]] void fail(const PGresult* result, PGconn* connection) {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const bool lost = PQstatus(connection) != CONNECTION_OK;
    throw DatabaseError(printable(message != nullptr ? message : PQerrorMessage(connection)),
                        lost || state == nullptr ? "" : state);
}

}  // namespace

milliseconds Backoff::next() {
    thread_local std::mt19937_64 random{std::random_device{}()};
    std::uniform_int_distribution<milliseconds::rep> pause(kFirst.count() / 5, most_.count());
    most_ = std::min(2 * most_, kLast);
    return milliseconds(pause(random));
}

std::string array_literal(const std::vector<std::string>& elements) {
    std::string result = "{";
    for (const std::string& element : elements) {
        if (result.size() > 1) result += ',';
        result += '"';
        for (const char character : element) {
            if (character == '"' || character == '\\') result += '\\';
            result += character;
        }
        result += '"';
    }
    return result + "}";
}

// What is set here before the connection string is what holds if that says nothing else: the primary after a
// failover, and an end to waiting for a server that is gone without a word.
Connection open_connection(const DatabaseSettings& settings, const char* purpose) {
    const std::string timeout = fmt::format("{}", std::max<int64_t>(2, settings.connect_timeout.count() / 1000));
    const std::string patience = fmt::format("{}", settings.statement_timeout.count());
    const std::string name = fmt::format("raxx-notify {}", purpose);
    const std::string password(settings.password.reveal());
    std::vector<const char*> keywords = {"target_session_attrs", "tcp_user_timeout", "keepalives_idle",
                                         "keepalives_interval",  "keepalives_count", "application_name",
                                         "connect_timeout",      "dbname",           "client_encoding"};
    std::vector<const char*> values = {
        "read-write", patience.c_str(), "10", "5", "3", name.c_str(), timeout.c_str(), settings.connection.c_str(),
        "UTF8"};
    if (!password.empty()) {
        keywords.push_back("password");
        values.push_back(password.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    Connection connection(PQconnectdbParams(keywords.data(), values.data(), 1));
    if (connection == nullptr) throw std::bad_alloc();
    if (PQstatus(connection.get()) != CONNECTION_OK)
        throw DatabaseError(printable(PQerrorMessage(connection.get())), "");
    PQsetNoticeProcessor(
        connection.get(), [](void*, const char*) {}, nullptr);
    const std::string set = fmt::format(
        "SET search_path = pg_catalog, pg_temp; SET statement_timeout = {}; SET standard_conforming_strings = on",
        settings.statement_timeout.count());
    const Result result(PQexec(connection.get(), set.c_str()));
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) fail(result.get(), connection.get());
    return connection;
}

void Database::connect() {
    if (steady_clock::now() < not_before_)
        throw DatabaseError("the database could not be reached a moment ago", "");
    try {
        connection_ = open_connection(settings_, "calls");
    } catch (const DatabaseError& error) {
        const milliseconds pause = backoff_.next();
        not_before_ = steady_clock::now() + pause;
        log(Level::error, "database_unreachable", {{"error", error.what()}, {"next_attempt_ms", pause.count()}});
        throw;
    }
    backoff_.reset();
    connected_ = true;
    log(Level::info, "database_connected");
}

Result Database::run(const char* sql, const Parameters& parameters) {
    std::vector<const char*> values;
    values.reserve(parameters.size());
    for (const auto& parameter : parameters) values.push_back(parameter ? parameter->c_str() : nullptr);
    Result result(PQexecParams(connection_.get(), sql, static_cast<int>(values.size()), nullptr, values.data(),
                               nullptr, nullptr, 0));
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail(result.get(), connection_.get());
    return result;
}

Result Database::call(const char* sql, const Parameters& parameters) {
    const std::lock_guard lock(mutex_);
    if (connection_ == nullptr) connect();
    try {
        return run(sql, parameters);
    } catch (const DatabaseError& error) {
        if (PQstatus(connection_.get()) != CONNECTION_OK) {
            connection_.reset();
            connected_ = false;
            log(Level::error, "database_lost", {{"error", error.what()}});
        }
        throw;
    }
}

// The database notes who serves which channels; by this name, each channel's note is its own.
std::optional<Delivery> Database::claim(const std::string& channel, milliseconds lease) {
    auto deliveries = deliveries_of(
        call(kClaim, {fmt::format("{} {}", worker_, channel), array_literal({channel}), interval(lease), "1"}));
    if (deliveries.empty()) return std::nullopt;
    return std::move(deliveries.front());
}

std::vector<Delivery> Database::preview(const std::vector<std::string>& channels, Digest digest, int at_most) {
    const std::lock_guard lock(mutex_);
    if (connection_ == nullptr) connect();
    (void)run("BEGIN", {});
    if (digest != Digest::none)
        (void)run("SELECT raxx_detect.make_digest(again => $1::boolean)", {yes_or_no(digest == Digest::again)});
    auto deliveries =
        deliveries_of(run(kClaim, {worker_, array_literal(channels), "1 minute", fmt::format("{}", at_most)}));
    (void)run("ROLLBACK", {});
    return deliveries;
}

bool Database::mark_delivered(const Delivery& delivery, const json& provider) {
    const auto given = provider.is_null()
                           ? std::nullopt
                           : std::optional(provider.dump(-1, ' ', false, json::error_handler_t::replace));
    const Result result = call("SELECT raxx_detect.mark_delivered($1::bigint, $2::uuid, $3::jsonb)",
                               {fmt::format("{}", delivery.id), delivery.lease, given});
    return is_true(result, 0, 0);
}

std::optional<std::string> Database::mark_failed(const Delivery& delivery, const Outcome& outcome) {
    const auto wait = outcome.retry_after ? std::optional(interval(*outcome.retry_after)) : std::nullopt;
    const Result result = call(
        "SELECT raxx_detect.mark_failed($1::bigint, $2::uuid, $3, $4::boolean, $5::boolean, $6::interval, "
        "$7::boolean)",
        {fmt::format("{}", delivery.id), delivery.lease, printable(outcome.error, 500),
         yes_or_no(outcome.permanent), yes_or_no(outcome.maybe_sent), wait, yes_or_no(outcome.channel_at_fault)});
    if (is_null(result, 0, 0)) return std::nullopt;
    return field(result, 0, 0);
}

std::optional<milliseconds> Database::next_delivery_in(const std::vector<std::string>& channels) {
    // By the database's clock, since ours may be another. An infinite time is none.
    const Result result = call(
        "SELECT extract(epoch FROM at - clock_timestamp()) * 1000 FROM raxx_detect.next_delivery_at($1::text[]) AS "
        "next(at) WHERE isfinite(at)",
        {array_literal(channels)});
    if (PQntuples(result.get()) == 0 || is_null(result, 0, 0)) return std::nullopt;
    const double wait = real(PQgetvalue(result.get(), 0, 0));
    constexpr double kMost = 86'400'000;
    return milliseconds(static_cast<int64_t>(std::clamp(wait, 0.0, kMost)));
}

std::vector<int64_t> Database::make_digest(bool again) {
    const Result result = call("SELECT raxx_detect.make_digest(again => $1::boolean)", {yes_or_no(again)});
    std::vector<int64_t> ids;
    ids.reserve(static_cast<size_t>(PQntuples(result.get())));
    for (int row = 0; row < PQntuples(result.get()); ++row) ids.push_back(number(field(result, row, 0)));
    return ids;
}

std::vector<Channel> Database::channels() {
    const Result result =
        call("SELECT channel, kind, address, enabled FROM raxx_detect.channels ORDER BY channel", {});
    std::vector<Channel> channels;
    channels.reserve(static_cast<size_t>(PQntuples(result.get())));
    for (int row = 0; row < PQntuples(result.get()); ++row) {
        channels.push_back(
            {field(result, row, 0), field(result, row, 1), field(result, row, 2), is_true(result, row, 3)});
    }
    return channels;
}

std::vector<ChannelHealth> Database::health() {
    const Result result = call(
        "SELECT channel, pending, sending, coalesce(extract(epoch FROM clock_timestamp() - oldest_pending), 0), "
        "breaker "
        "FROM raxx_detect.channel_health",
        {});
    std::vector<ChannelHealth> health;
    health.reserve(static_cast<size_t>(PQntuples(result.get())));
    for (int row = 0; row < PQntuples(result.get()); ++row) {
        health.push_back({field(result, row, 0), number(field(result, row, 1)), number(field(result, row, 2)),
                          real(PQgetvalue(result.get(), row, 3)), field(result, row, 4)});
    }
    return health;
}

void Database::rehearse() {
    constexpr const char* kNobody = "00000000-0000-0000-0000-000000000000";
    const std::lock_guard lock(mutex_);
    if (connection_ == nullptr) connect();
    (void)run("BEGIN", {});
    (void)run("LISTEN raxx_detect_deliveries", {});
    (void)run(kClaim, {worker_, "{}", "1 minute", "1"});
    (void)run("SELECT raxx_detect.next_delivery_at('{}')", {});
    (void)run("SELECT raxx_detect.mark_delivered(0, $1::uuid)", {kNobody});
    (void)run("SELECT raxx_detect.mark_failed(0, $1::uuid, 'rehearsal')", {kNobody});
    (void)run("SELECT raxx_detect.make_digest()", {});
    (void)run("SELECT FROM raxx_detect.channels, raxx_detect.channel_health", {});
    (void)run("ROLLBACK", {});
}

void Listener::tend() {
    if (connection_ != nullptr || steady_clock::now() < not_before_) return;
    try {
        connection_ = open_connection(settings_, "listens");
        const Result result(PQexec(connection_.get(), "LISTEN raxx_detect_deliveries"));
        if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) fail(result.get(), connection_.get());
        backoff_.reset();
        missed_ = true;
    } catch (const DatabaseError& error) {
        connection_.reset();
        const milliseconds pause = backoff_.next();
        not_before_ = steady_clock::now() + pause;
        log(Level::error, "cannot_listen", {{"error", error.what()}, {"next_attempt_ms", pause.count()}});
    }
}

bool Listener::heard() {
    bool any = std::exchange(missed_, false);
    if (connection_ == nullptr) return any;
    if (PQconsumeInput(connection_.get()) == 0 || PQstatus(connection_.get()) != CONNECTION_OK) {
        log(Level::warning, "listening_lost", {{"error", printable(PQerrorMessage(connection_.get()))}});
        connection_.reset();
        not_before_ = steady_clock::now() + backoff_.next();
        return any;
    }
    while (PGnotify* notification = PQnotifies(connection_.get())) {
        any = true;
        PQfreemem(notification);
    }
    return any;
}

}  // namespace raxx::notify
