// The database, by libpq: the calls of the extension's functions, over one connection that all threads share, and
// another one that listens. A connection that is lost is made anew, after a pause that grows and is never the same
// for two instances.
#pragma once

#include <libpq-fe.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "notify/configuration.h"
#include "notify/delivery.h"

namespace raxx::notify {

// A call that failed. There is no SQLSTATE if the database could not be reached or was lost on the way.
class DatabaseError : public std::runtime_error {
  public:
    DatabaseError(const std::string& message, std::string sqlstate)
        : std::runtime_error(message), sqlstate_(std::move(sqlstate)) {}
    [[nodiscard]] const std::string& sqlstate() const { return sqlstate_; }

  private:
    std::string sqlstate_;
};

struct Channel {
    std::string name;
    std::string kind;
    std::string address;
    bool enabled = true;

    bool operator==(const Channel&) const = default;
};

struct ChannelHealth {
    std::string channel;
    int64_t pending = 0;
    int64_t sending = 0;
    double oldest_pending_seconds = 0;
    std::string breaker;
};

struct FreeConnection {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, FreeConnection>;

struct FreeResult {
    void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, FreeResult>;

// Pauses between attempts: up to twice as long each time, and a random part of it (full jitter).
class Backoff {
  public:
    milliseconds next();
    void reset() { most_ = kFirst; }

  private:
    static constexpr milliseconds kFirst{250};
    static constexpr milliseconds kLast{30'000};
    milliseconds most_ = kFirst;
};

// Every function throws a DatabaseError.
class Database {
  public:
    Database(DatabaseSettings settings, std::string worker)
        : settings_(std::move(settings)), worker_(std::move(worker)) {}

    // One of a channel, at most.
    std::optional<Delivery> claim(const std::string& channel, milliseconds lease);
    // What claim would return, without claiming it; after make_digest, if that is wanted.
    enum class Digest { none, due, again };
    std::vector<Delivery> preview(const std::vector<std::string>& channels, Digest digest, int at_most);
    // False: the lease was lost.
    bool mark_delivered(const Delivery& delivery, const json& provider);
    // The state that it has now; nothing: the lease was lost.
    std::optional<std::string> mark_failed(const Delivery& delivery, const Outcome& outcome);
    // How long until there may be something to claim; nothing: none is waiting.
    std::optional<milliseconds> next_delivery_in(const std::vector<std::string>& channels);
    std::vector<int64_t> make_digest(bool again);
    std::vector<Channel> channels();
    std::vector<ChannelHealth> health();
    // Calls everything that this program calls, and takes it back.
    void rehearse();

    [[nodiscard]] bool connected() const { return connected_; }

  private:
    using Parameters = std::vector<std::optional<std::string>>;
    Result call(const char* sql, const Parameters& parameters);
    Result run(const char* sql, const Parameters& parameters);
    void connect();

    DatabaseSettings settings_;
    std::string worker_;
    std::mutex mutex_;
    Connection connection_;
    Backoff backoff_;
    std::chrono::steady_clock::time_point not_before_;
    std::atomic<bool> connected_ = false;
};

// A connection with what this program needs, or a DatabaseError.
Connection open_connection(const DatabaseSettings& settings, const char* purpose);

// Hears that there is something to deliver.
class Listener {
  public:
    explicit Listener(DatabaseSettings settings) : settings_(std::move(settings)) {}
    // Waited on for reading; -1: not connected (yet).
    [[nodiscard]] int descriptor() const { return connection_ == nullptr ? -1 : PQsocket(connection_.get()); }
    // Connects if it is time to.
    void tend();
    // Reads what has come; whether anything was announced. After a reconnection, too.
    bool heard();

  private:
    DatabaseSettings settings_;
    Connection connection_;
    Backoff backoff_;
    std::chrono::steady_clock::time_point not_before_;
    bool missed_ = false;  // something may have been announced while nobody listened
};

// Elements as libpq sends them: {"a","b"}.
std::string array_literal(const std::vector<std::string>& elements);

}  // namespace raxx::notify
