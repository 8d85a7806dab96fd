// Memory for secrets: it is locked into memory as far as the server may, left out of core dumps and of child
// processes, and wiped before it is given back. Whoever copies a key, or what a key can be told from, copies it
// into here.
//
// Pages of our own rather than OpenSSL's secure heap: that has one size for the whole process, fails once it is
// used up, and would be shared with whatever else in a backend uses OpenSSL.
#pragma once

#include <cstddef>

#include "core/failure.h"

namespace raxx {

// Zeros at first; at the beginning of a page. An object of size 0 has no memory.
class SecretMemory {
  public:
    SecretMemory() = default;
    explicit SecretMemory(size_t size);
    SecretMemory(SecretMemory&& other) noexcept;
    SecretMemory& operator=(SecretMemory&& other) noexcept;
    SecretMemory(const SecretMemory&) = delete;
    SecretMemory& operator=(const SecretMemory&) = delete;
    ~SecretMemory();

    [[nodiscard]] unsigned char* data() { return data_; }
    [[nodiscard]] const unsigned char* data() const { return data_; }
    [[nodiscard]] size_t size() const { return size_; }

  private:
    unsigned char* data_ = nullptr;
    size_t size_ = 0;
};

// For what has to be on the stack for a moment.
void wipe(void* data, size_t size) noexcept;

// In a time that does not depend on where the two differ.
[[nodiscard]] bool equal_secrets(const unsigned char* a, const unsigned char* b, size_t size) noexcept;

}  // namespace raxx
