// Tokens and passwords: read from the environment or from a file that nobody else may read, kept in memory that is
// locked and wiped (core/secret.h). A Secret cannot be written to a log, since nothing converts it to text but
// reveal(); and what other libraries say in their messages goes through redacted(), which knows every secret.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/secret.h"

namespace raxx::notify {

// What is wrong with a secret's place, never with its value.
struct SecretError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string_view value);

    [[nodiscard]] bool empty() const { return memory_ == nullptr; }
    // For the library that needs it, at the moment when it needs it.
    [[nodiscard]] std::string_view reveal() const;

  private:
    std::shared_ptr<const SecretMemory> memory_;
};

// Both throw a SecretError if there is nothing there, or if others could read it.
Secret secret_from_environment(const std::string& name);
Secret secret_from_file(const std::string& path);

// The text with every secret that was ever read replaced by "[secret]".
std::string redacted(std::string text);

}  // namespace raxx::notify
