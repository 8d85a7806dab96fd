// Locking may fail, since RLIMIT_MEMLOCK is often small; then the pages may be swapped out, and all else holds.
#include "core/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace raxx {
namespace {

// Before what secret_alloc returns: the size of the whole.
constexpr size_t kHeader = 64;

void* map(size_t size) noexcept {
    void* pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return nullptr;
    (void)mlock(pages, size);
    (void)madvise(pages, size, MADV_DONTDUMP);
    (void)madvise(pages, size, MADV_DONTFORK);
    return pages;
}

void unmap(void* pages, size_t size) noexcept {
    wipe(pages, size);
    (void)munmap(pages, size);
}

}  // namespace

SecretMemory::SecretMemory(size_t size) : size_(size) {
    if (size == 0) return;
    data_ = static_cast<unsigned char*>(map(size));
    if (data_ == nullptr) throw std::bad_alloc();
}

SecretMemory::SecretMemory(SecretMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretMemory& SecretMemory::operator=(SecretMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

SecretMemory::~SecretMemory() {
    if (data_ != nullptr) unmap(data_, size_);
}

void wipe(void* data, size_t size) noexcept { OPENSSL_cleanse(data, size); }

bool equal_secrets(const unsigned char* a, const unsigned char* b, size_t size) noexcept {
    return CRYPTO_memcmp(a, b, size) == 0;
}

unsigned char* secret_alloc(size_t size) noexcept {
    if (size > std::numeric_limits<size_t>::max() - kHeader) return nullptr;
    const size_t whole = size + kHeader;
    auto* pages = static_cast<unsigned char*>(map(whole));
    if (pages == nullptr) return nullptr;
    std::memcpy(pages, &whole, sizeof whole);
    return pages + kHeader;
}

void secret_free(void* data) noexcept {
    if (data == nullptr) return;
    unsigned char* pages = static_cast<unsigned char*>(data) - kHeader;
    size_t whole = 0;
    std::memcpy(&whole, pages, sizeof whole);
    unmap(pages, whole);
}

}  // namespace raxx
