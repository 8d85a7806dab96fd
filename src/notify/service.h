// What the commands do: `run` until a signal comes, `once`, and the looks that change nothing. A session holds what
// follows from one configuration; SIGHUP begins a new one, if the file is right.
#pragma once

#include <string>

#include "notify/configuration.h"
#include "notify/database.h"

namespace raxx::notify {

struct Options {
    std::string path;  // of the configuration
    bool to_standard_output = false;
};

Configuration configuration_for(const Options& options);

// Each returns the process's exit status. The signals TERM, INT and HUP have to be blocked, and are waited for.
int run(const Options& options);
int deliver_once(const Options& options);
// Shows what there is to be delivered, after a digest if that is wanted.
int show_due(const Options& options, Database::Digest digest);
int make_digest(const Options& options, bool again);

// The host's name, or what the configuration says.
std::string worker_name(const Configuration& configuration);

}  // namespace raxx::notify
