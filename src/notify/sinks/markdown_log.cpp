// A log in Markdown: a file for each day (in UTC) below the configured root, in the folder that is the channel's
// address.
#include <chrono>
#include <system_error>

#include "notify/log.h"
#include "notify/render/render.h"
#include "notify/sinks/log_file.h"
#include "notify/sinks/sink.h"

namespace raxx::notify {
namespace {

class MarkdownLog : public Sink {
  public:
    explicit MarkdownLog(MarkdownSettings settings) : settings_(std::move(settings)) {}

    Outcome send(const Delivery& delivery) override {
        const auto folders = folders_of(delivery.address);
        if (!folders)
            return Outcome::refused("the channel's address is not that of a folder below [markdown] root");
        std::string text = markdown(delivery.payload, delivery.possible_repeat, delivery.key);
        while (text.ends_with('\n')) text.pop_back();
        text += "\n\n";
        const int64_t day =
            std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()).time_since_epoch().count();
        const std::optional<int64_t> also = delivery.possible_repeat ? std::optional(day - 1) : std::nullopt;
        try {
            Outcome outcome = Outcome::success();
            outcome.found =
                append_once(settings_.root, *folders, day, also, delivery.key, text) == Appended::was_there;
            return outcome;
        } catch (const std::system_error& error) {
            return Outcome::uncertain(printable(error.what()));
        }
    }

    [[nodiscard]] std::string check(const std::string& address) override {
        try {
            check_folders(settings_.root, folders_of(address).value());
            return "";
        } catch (const std::system_error& error) {
            return printable(error.what());
        }
    }

  private:
    MarkdownSettings settings_;
};

}  // namespace

std::unique_ptr<Sink> make_markdown_log(const MarkdownSettings& settings) {
    return std::make_unique<MarkdownLog>(settings);
}

}  // namespace raxx::notify
