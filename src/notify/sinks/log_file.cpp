#include "notify/sinks/log_file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace raxx::notify {
namespace {

constexpr size_t kLongestAddress = 500;
constexpr mode_t kFolderMode = 0755;
constexpr mode_t kFileMode = 0644;

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }
    [[nodiscard]] int number() const { return number_; }

  private:
    int number_;
};

Descriptor open_root(const std::string& root) {
    Descriptor folder(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.number() < 0) fail("cannot open " + root);
    return folder;
}

Descriptor open_folder(const Descriptor& parent, const std::string& name) {
    if (mkdirat(parent.number(), name.c_str(), kFolderMode) == 0) {
        if (fsync(parent.number()) != 0) fail("cannot write the folder of " + name);
    } else if (errno != EEXIST) {
        fail("cannot make the folder " + name);
    }
    Descriptor folder(openat(parent.number(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (folder.number() < 0) fail("cannot open the folder " + name);
    return folder;
}

Descriptor open_folders(const std::string& root, const std::vector<std::string>& folders) {
    Descriptor folder = open_root(root);
    for (const std::string& name : folders) folder = open_folder(folder, name);
    return folder;
}

// Locked; the lock ends with it. An empty file of a day that has gone does no harm.
Descriptor open_day(const Descriptor& base, int64_t day) {
    const std::tm date = fmt::gmtime(static_cast<std::time_t>(day * 86400));
    const Descriptor year = open_folder(base, fmt::format("{:%Y}", date));
    const Descriptor month = open_folder(year, fmt::format("{:%m}", date));
    const std::string name = fmt::format("{:%Y-%m-%d}.md", date);
    Descriptor file(openat(month.number(), name.c_str(),
                           O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, kFileMode));
    if (file.number() < 0) fail("cannot open " + name);
    struct stat about = {};
    if (fstat(file.number(), &about) != 0) fail("cannot examine " + name);
    if (!S_ISREG(about.st_mode)) {
        errno = EINVAL;
        fail(name + " is not a plain file");
    }
    while (flock(file.number(), LOCK_EX) != 0) {
        if (errno != EINTR) fail("cannot lock " + name);
    }
    if (fsync(month.number()) != 0) fail("cannot write the folder of " + name);
    return file;
}

// Whether a line has the key in an HTML comment. Entities cannot open one, since their "<" are escaped.
bool has_key(const Descriptor& file, const std::string& key) {
    constexpr size_t kPiece = 65536;
    constexpr std::string_view kOpen = "<!--";
    std::string text;
    char buffer[kPiece];
    off_t at = 0;
    for (;;) {
        const ssize_t got = pread(file.number(), buffer, sizeof buffer, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail("cannot read the log");
        at += got;
        text.append(buffer, static_cast<size_t>(got));
        for (size_t found = text.find(key); found != std::string::npos; found = text.find(key, found + 1)) {
            const size_t line = text.rfind('\n', found) + 1;  // npos + 1 is 0
            const size_t open = text.find(kOpen, line);
            if (open != std::string::npos && open < found) return true;
        }
        if (got == 0) return false;
        // What follows the last end of a line may go on in the next piece.
        text.erase(0, text.rfind('\n') + 1);
        if (text.size() > 1'000'000) text.clear();
    }
}

void append(const Descriptor& file, const std::string& text) {
    const off_t end = lseek(file.number(), 0, SEEK_END);
    std::string_view rest = text;
    while (!rest.empty()) {
        const ssize_t written = write(file.number(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            const int why = written == 0 ? EIO : errno;
            (void)ftruncate(file.number(), end);
            errno = why;
            fail("cannot write the log");
        }
        rest.remove_prefix(static_cast<size_t>(written));
    }
    if (fsync(file.number()) != 0) fail("cannot write the log to disk");
}

}  // namespace

std::optional<std::vector<std::string>> folders_of(const std::string& address) {
    std::vector<std::string> folders;
    if (address.empty() || address.size() > kLongestAddress) return std::nullopt;
    size_t begin = 0;
    const std::string whole = address.ends_with("/") ? address.substr(0, address.size() - 1) : address;
    while (begin <= whole.size()) {
        const size_t end = std::min(whole.find('/', begin), whole.size());
        std::string name = whole.substr(begin, end - begin);
        if (name.empty() || name == "." || name == ".." || name.size() > 100) return std::nullopt;
        for (const char character : name) {
            const auto byte = static_cast<unsigned char>(character);
            if (byte < 0x20 || byte == 0x7f || character == '\\') return std::nullopt;
        }
        folders.push_back(std::move(name));
        begin = end + 1;
    }
    return folders;
}

Appended append_once(const std::string& root, const std::vector<std::string>& folders, int64_t day,
                     std::optional<int64_t> also, const std::string& key, const std::string& text) {
    const Descriptor base = open_folders(root, folders);
    // Always in this order, so that two processes cannot wait for each other.
    std::optional<Descriptor> other;
    if (also && *also < day) {
        other = open_day(base, *also);
        if (has_key(*other, key)) return Appended::was_there;
    }
    const Descriptor file = open_day(base, day);
    if (has_key(file, key)) return Appended::was_there;
    append(file, text);
    return Appended::yes;
}

void check_folders(const std::string& root, const std::vector<std::string>& folders) {
    const Descriptor base = open_folders(root, folders);
    if (faccessat(base.number(), ".", W_OK | X_OK, AT_EACCESS) != 0) fail("cannot write there");
}

}  // namespace raxx::notify
