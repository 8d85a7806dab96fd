// The channels of the database and the threads that serve them. Looked after by a thread of its own, since it asks
// the database, which may take its time: which channels there are, whether the digest is due, how long the queues
// are.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "notify/channel_worker.h"

namespace raxx::notify {

class Workers {
  public:
    explicit Workers(Shared* shared) : shared_(shared) {}
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;
    ~Workers();

    // Looks now, and then at every poll.
    void start();
    // One look, by the caller; throws a DatabaseError.
    void look();
    void wake();
    [[nodiscard]] bool all_done();
    [[nodiscard]] std::string status();

  private:
    void loop();
    void adjust(const std::vector<Channel>& channels);
    void digest();

    Shared* shared_;
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<ChannelWorker>> workers_;
    std::map<std::string, std::string> unserved_;  // by channel, and why
    std::condition_variable changed_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace raxx::notify
