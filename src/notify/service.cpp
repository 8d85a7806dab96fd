#include "notify/service.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include "notify/log.h"
#include "notify/render/render.h"
#include "notify/workers.h"

namespace raxx::notify {
namespace {

// Signals as a descriptor, to be waited for with others.
class Signals {
  public:
    Signals() {
        sigset_t set;
        sigemptyset(&set);
        for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
        descriptor_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
    }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    ~Signals() { close(descriptor_); }

    [[nodiscard]] int descriptor() const { return descriptor_; }
    // The next one; 0: none.
    [[nodiscard]] int next() const {
        signalfd_siginfo about = {};
        return read(descriptor_, &about, sizeof about) == static_cast<ssize_t>(sizeof about)
                   ? static_cast<int>(about.ssi_signo)
                   : 0;
    }

  private:
    int descriptor_;
};

void wait_for(int signals, int listener, milliseconds timeout) {
    std::array<pollfd, 2> descriptors = {pollfd{signals, POLLIN, 0}, pollfd{listener, POLLIN, 0}};
    (void)poll(descriptors.data(), descriptors.size(), static_cast<int>(timeout.count()));
}

// Runs with one configuration until a signal ends it. The next configuration, or nothing if it is the end.
std::optional<Configuration> run_session(const Configuration& configuration, const Options& options,
                                         const Signals& signals, Metrics* metrics, Watchdog* watchdog) {
    Database database(configuration.database, worker_name(configuration));
    std::unique_ptr<MetricsServer> server;
    if (!configuration.service.metrics_host.empty()) {
        server = std::make_unique<MetricsServer>(*metrics, configuration.service.metrics_host,
                                                 configuration.service.metrics_port);
        log(Level::info, "metrics_served", {{"port", server->port()}});
    }
    Shared shared{configuration, database, *metrics, *watchdog};
    Listener listener(configuration.database);
    Workers workers(&shared);
    workers.start();
    Watchdog::ready();
    milliseconds step(1'000);
    if (watchdog->interval().count() > 0) step = std::min(step, watchdog->interval());
    for (;;) {
        listener.tend();
        wait_for(signals.descriptor(), listener.descriptor(), step);
        if (listener.heard()) workers.wake();
        (void)watchdog->beat();
        const int signal = signals.next();
        if (signal == SIGHUP) {
            try {
                Configuration next = configuration_for(options);
                log(Level::info, "configuration_read", {{"file", options.path}});
                Watchdog::reloading();
                return next;
            } catch (const ConfigurationError& error) {
                log(Level::error, "configuration_refused", {{"error", error.what()}});
            }
        } else if (signal != 0) {
            log(Level::info, "stopping", {{"signal", signal}});
            Watchdog::stopping();
            return std::nullopt;
        }
    }
}

}  // namespace

Configuration configuration_for(const Options& options) {
    Configuration configuration = read_configuration(options.path);
    configuration.all_to_standard_output = options.to_standard_output;
    return configuration;
}

std::string worker_name(const Configuration& configuration) {
    if (!configuration.service.name.empty()) return configuration.service.name;
    std::array<char, 256> host = {};
    if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    return host.data();
}

int run(const Options& options) {
    const Signals signals;
    Metrics metrics;
    Watchdog watchdog;
    std::optional<Configuration> configuration = configuration_for(options);
    log(Level::info, "started", {{"version", RAXX_VERSION}, {"worker", worker_name(*configuration)}});
    while (configuration) configuration = run_session(*configuration, options, signals, &metrics, &watchdog);
    log(Level::info, "stopped");
    return 0;
}

int deliver_once(const Options& options) {
    const Signals signals;
    Metrics metrics;
    Watchdog watchdog;
    const Configuration configuration = configuration_for(options);
    Database database(configuration.database, worker_name(configuration));
    Shared shared{configuration, database, metrics, watchdog, true};
    try {
        Workers workers(&shared);
        workers.look();
        while (!workers.all_done()) {
            wait_for(signals.descriptor(), -1, milliseconds(20));
            const int signal = signals.next();
            if (signal == SIGTERM || signal == SIGINT) {
                log(Level::warning, "stopping", {{"signal", signal}});
                shared.failed = true;
                break;
            }
        }
    } catch (const DatabaseError& error) {
        log(Level::error, "look_failed", {{"sqlstate", error.sqlstate()}, {"error", error.what()}});
        return 1;
    }
    return shared.failed ? 1 : 0;
}

int show_due(const Options& options, Database::Digest digest) {
    constexpr int kMost = 100;
    const Configuration configuration = configuration_for(options);
    Database database(configuration.database, worker_name(configuration));
    std::vector<std::string> channels;
    for (const Channel& channel : database.channels()) {
        if (not_served(configuration, channel.kind, channel.address).empty()) channels.push_back(channel.name);
    }
    const auto deliveries = database.preview(channels, digest, kMost);
    for (const Delivery& delivery : deliveries) {
        fmt::print("---- delivery {} to {} ({} {}){}{}\n{}\n", delivery.id, printable(delivery.channel),
                   delivery.kind, printable(delivery.address), delivery.push ? ", push" : "",
                   delivery.possible_repeat ? ", possible repeat" : "",
                   plain_text(delivery.payload, delivery.possible_repeat));
    }
    fmt::print("{} deliveries are due{}\n", deliveries.size(), deliveries.size() == kMost ? " (or more)" : "");
    return 0;
}

int make_digest(const Options& options, bool again) {
    {
        const Configuration configuration = configuration_for(options);
        Database database(configuration.database, worker_name(configuration));
        const auto ids = database.make_digest(again);
        log(Level::info, ids.empty() ? "no_digest" : "digest", {{"delivery_ids", ids}});
    }
    return deliver_once(options);
}

}  // namespace raxx::notify
