#include "notify/check.h"

#include <fmt/format.h>

#include "notify/log.h"
#include "notify/sinks/sink.h"

namespace raxx::notify {
namespace {

class Findings {
  public:
    static void good(const std::string& what) { fmt::print("ok      {}\n", what); }
    void bad(const std::string& what, const std::string& why) {
        well_ = false;
        fmt::print("failed  {}: {}\n", what, why);
    }
    static void note(const std::string& what, const std::string& why) { fmt::print("note    {}: {}\n", what, why); }
    [[nodiscard]] bool well() const { return well_; }

  private:
    bool well_ = true;
};

void check_channel(const Configuration& configuration, const Channel& channel, Findings* findings) {
    const std::string name = fmt::format("channel {} ({})", printable(channel.name), channel.kind);
    if (!channel.enabled) return Findings::note(name, "not enabled");
    const std::string why = not_served(configuration, channel.kind, channel.address);
    if (!why.empty()) return findings->bad(name, "not served: " + why);
    const std::string problem = make_sink(configuration, channel.kind)->check(channel.address);
    if (!problem.empty()) return findings->bad(name, problem);
    Findings::good(name);
}

}  // namespace

int check(const Options& options) {
    Findings findings;
    const Configuration configuration = configuration_for(options);
    Findings::good("configuration " + options.path);
    Database database(configuration.database, worker_name(configuration));
    std::vector<Channel> channels;
    try {
        channels = database.channels();
        database.rehearse();
        Findings::good("database: the functions can be called");
    } catch (const DatabaseError& error) {
        findings.bad("database", error.sqlstate().empty() ? error.what()
                                                          : fmt::format("{} ({})", error.what(), error.sqlstate()));
    }
    for (const Channel& channel : channels) check_channel(configuration, channel, &findings);
    return findings.well() ? 0 : 1;
}

}  // namespace raxx::notify
