// Standard output: the message as plain text, with an empty line behind it.
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <system_error>

#include "notify/render/render.h"
#include "notify/sinks/sink.h"

namespace raxx::notify {
namespace {

class StandardOutput : public Sink {
  public:
    Outcome send(const Delivery& delivery) override {
        static std::mutex mutex;
        std::string text = plain_text(delivery.payload, delivery.possible_repeat);
        while (!text.empty() && text.back() == '\n') text.pop_back();
        text += "\n\n";
        const std::lock_guard lock(mutex);
        errno = 0;
        if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
            return Outcome::success();
        const std::string why = std::generic_category().message(errno);
        std::clearerr(stdout);
        return Outcome::uncertain("cannot write to standard output: " + why);
    }

    [[nodiscard]] std::string check(const std::string& /*address*/) override { return ""; }
};

}  // namespace

std::unique_ptr<Sink> make_standard_output() { return std::make_unique<StandardOutput>(); }

}  // namespace raxx::notify
