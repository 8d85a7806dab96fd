// raxx-notify: tells people what raxx_detect has found. This file is the command line.
#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include "notify/check.h"
#include "notify/log.h"
#include "notify/service.h"
#include "notify/show.h"

namespace {

using namespace raxx::notify;

constexpr int kWrongUsage = 2;

struct Arguments {
    Options options{"/etc/raxx-notify.toml", false};
    bool dry_run = false;
    bool again = false;
    std::string file;
    std::string as = "text";
    std::string output;
};

// Secrets are in this memory: nobody may look into it, and no core dump may hold it.
void keep_to_oneself() {
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    const rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
}

// Before there are threads, so that signals come only where they are waited for.
void block_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
    (void)pthread_sigmask(SIG_BLOCK, &set, nullptr);
    (void)std::signal(SIGPIPE, SIG_IGN);
}

int digest(const Arguments& arguments) {
    if (arguments.dry_run)
        return show_due(arguments.options, arguments.again ? Database::Digest::again : Database::Digest::due);
    return make_digest(arguments.options, arguments.again);
}

int command(int argc, char** argv) {
    Arguments arguments;
    CLI::App app{"Tells people what raxx_detect has found."};
    app.set_version_flag("--version", RAXX_VERSION);
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--config", arguments.options.path, "The configuration")->capture_default_str();
    app.add_flag("--dry-run", arguments.dry_run, "Claim nothing, and show what would be delivered");
    app.add_flag("--stdout", arguments.options.to_standard_output,
                 "Write what is for any channel to standard output");
    const auto* run_it = app.add_subcommand("run", "Deliver until SIGTERM; SIGHUP rereads the configuration");
    const auto* once =
        app.add_subcommand("once", "Deliver what is due now; status 1 if something was not delivered");
    auto* digest_it = app.add_subcommand("digest", "Make the day's digest if it is due, and deliver what is due");
    digest_it->add_flag("--again", arguments.again, "Even if there was one, or it is not due yet");
    const auto* check_it = app.add_subcommand("check", "Say whether it would work, without sending anything");
    auto* render = app.add_subcommand("render", "Show a payload as it would be sent");
    render->add_option("FILE", arguments.file, "A payload as JSON")->required();
    render->add_option("--as", arguments.as, "text, html, mail, slack, markdown or ocsf")
        ->check(CLI::IsMember({"text", "html", "mail", "slack", "markdown", "ocsf"}))
        ->capture_default_str();
    render->add_option("--output", arguments.output, "A file to write to");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kWrongUsage;
    }
    if (render->parsed()) return show(arguments.file, arguments.as, arguments.output);
    if (check_it->parsed()) return check(arguments.options);
    if (digest_it->parsed()) return digest(arguments);
    if (arguments.dry_run) return show_due(arguments.options, Database::Digest::none);
    if (once->parsed()) return deliver_once(arguments.options);
    return run_it->parsed() ? run(arguments.options) : kWrongUsage;
}

}  // namespace

int main(int argc, char** argv) {
    keep_to_oneself();
    block_signals();
    try {
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return 1;
        const int status = command(argc, argv);
        curl_global_cleanup();
        return status;
    } catch (const ConfigurationError& error) {
        log(Level::error, "configuration_refused", {{"error", error.what()}});
        return kWrongUsage;
    } catch (const std::exception& error) {
        log(Level::error, "failed", {{"error", error.what()}});
        return 1;
    }
}
