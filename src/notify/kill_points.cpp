#include "notify/kill_points.h"

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>

namespace raxx::notify {
namespace {

struct StopAt {
    std::string name;
    int times = 1;
    int signal = SIGKILL;

    StopAt() {
        const char* text = std::getenv("RAXX_NOTIFY_STOP_AT");
        if (text == nullptr) return;
        name = text;
        constexpr std::string_view kPause = ":pause";
        if (name.ends_with(kPause)) {
            signal = SIGSTOP;
            name.resize(name.size() - kPause.size());
        }
        const size_t colon = name.find(':');
        if (colon == std::string::npos) return;
        const char* number = name.data() + colon + 1;
        (void)std::from_chars(number, name.data() + name.size(), times);
        name.resize(colon);
    }
};

}  // namespace

void kill_point(std::string_view name) {
    static const StopAt stop_at;
    static std::atomic<int> passed = 0;
    if (stop_at.name != name) return;
    if (passed.fetch_add(1) + 1 == stop_at.times) (void)std::raise(stop_at.signal);
}

}  // namespace raxx::notify
