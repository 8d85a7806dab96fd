// A file of a log that is written exactly once for each key, by whichever process comes first: under a lock, the
// file is searched for the key before anything is appended, and what is appended is on disk before this returns.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace raxx::notify {

// The folders of an address, "a/b" being two; nothing if they could lead out of the root (or are no names at all).
std::optional<std::vector<std::string>> folders_of(const std::string& address);

enum class Appended { yes, was_there };

// Appends to root/folders.../YYYY/MM/YYYY-MM-DD.md of the day (days since 1970); `also` is another day whose file
// may have the key already. No link is followed below the root. Throws std::system_error.
Appended append_once(const std::string& root, const std::vector<std::string>& folders, int64_t day,
                     std::optional<int64_t> also, const std::string& key, const std::string& text);

// Makes the folders, and throws std::system_error if nothing could be written there.
void check_folders(const std::string& root, const std::vector<std::string>& folders);

}  // namespace raxx::notify
