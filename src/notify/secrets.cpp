#include "notify/secrets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <system_error>
#include <vector>

namespace raxx::notify {
namespace {

constexpr size_t kLongest = 16384;
// A text that short would be found everywhere.
constexpr size_t kShortestRedacted = 4;

struct Known {
    std::mutex mutex;
    std::vector<std::shared_ptr<const SecretMemory>> secrets;
};

Known& known() {
    static Known all;
    return all;
}

std::string_view view(const SecretMemory& memory) {
    return {reinterpret_cast<const char*>(memory.data()), memory.size()};
}

void remember(const std::shared_ptr<const SecretMemory>& memory) {
    if (memory->size() < kShortestRedacted) return;
    Known& all = known();
    const std::lock_guard lock(all.mutex);
    for (const auto& other : all.secrets) {
        if (view(*other) == view(*memory)) return;
    }
    all.secrets.push_back(memory);
}

std::string why(int error) { return std::generic_category().message(error); }

// systemd gives its credentials to a service by an access list, which shows as a right of the group.
bool is_credential(const std::string& path) {
    const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
    return directory != nullptr && *directory != '\0' && path.starts_with(std::string(directory) + "/");
}

class File {
  public:
    explicit File(const std::string& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
        if (descriptor_ < 0) throw SecretError(fmt::format(R"(cannot open "{}": {})", path, why(errno)));
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { close(descriptor_); }
    [[nodiscard]] int descriptor() const { return descriptor_; }

  private:
    int descriptor_;
};

void check_rights(int descriptor, const std::string& path) {
    struct stat about = {};
    if (fstat(descriptor, &about) != 0)
        throw SecretError(fmt::format(R"(cannot examine "{}": {})", path, why(errno)));
    if (!S_ISREG(about.st_mode)) throw SecretError(fmt::format(R"("{}" is not a plain file)", path));
    const mode_t others = is_credential(path) ? 0037 : 0077;
    if ((about.st_mode & others) != 0) {
        throw SecretError(
            fmt::format(R"("{}" can be read or written by others: its mode has to be 0600 or less)", path));
    }
    if (about.st_uid != 0 && about.st_uid != geteuid()) {
        throw SecretError(fmt::format(R"("{}" belongs to somebody else)", path));
    }
}

}  // namespace

Secret::Secret(std::string_view value) {
    if (value.empty()) return;
    auto memory = std::make_shared<SecretMemory>(value.size());
    std::memcpy(memory->data(), value.data(), value.size());
    memory_ = memory;
    remember(memory_);
}

std::string_view Secret::reveal() const { return memory_ == nullptr ? std::string_view() : view(*memory_); }

Secret secret_from_environment(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') {
        throw SecretError(fmt::format("the environment variable {} is not set", name));
    }
    return Secret(value);
}

Secret secret_from_file(const std::string& path) {
    const File file(path);
    check_rights(file.descriptor(), path);
    SecretMemory buffer(kLongest);
    size_t size = 0;
    while (size < kLongest) {
        const ssize_t got = read(file.descriptor(), buffer.data() + size, kLongest - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw SecretError(fmt::format(R"(cannot read "{}": {})", path, why(errno)));
        if (got == 0) break;
        size += static_cast<size_t>(got);
    }
    if (size == kLongest) throw SecretError(fmt::format(R"("{}" is longer than any secret)", path));
    std::string_view value(reinterpret_cast<const char*>(buffer.data()), size);
    while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.remove_suffix(1);
    if (value.empty()) throw SecretError(fmt::format(R"("{}" is empty)", path));
    return Secret(value);
}

std::string redacted(std::string text) {
    Known& all = known();
    const std::lock_guard lock(all.mutex);
    for (const auto& secret : all.secrets) {
        const std::string_view value = view(*secret);
        for (size_t at = text.find(value); at != std::string::npos; at = text.find(value, at)) {
            text.replace(at, value.size(), "[secret]");
        }
    }
    return text;
}

}  // namespace raxx::notify
