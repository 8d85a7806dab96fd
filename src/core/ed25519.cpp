// Ed25519 by OpenSSL, which wipes what it makes of a seed before it frees it.
#include <openssl/evp.h>

#include <memory>

#include "core/checkpoint.h"

namespace raxx {
namespace {

constexpr size_t kSignatureSize = 64;

struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_MD_CTX, Free>;

// OpenSSL's own words may come later, and tell less than this.
[[noreturn]] void fail() {
    throw Failure{sqlstate::kInternal, "OpenSSL could not use an Ed25519 key", "",
                  "Ed25519 needs OpenSSL 1.1.1 or later, and a configuration that allows it."};
}

const unsigned char* data_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

Key private_key(Bytes seed) {
    Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data, seed.size));
    if (key == nullptr) fail();
    return key;
}

}  // namespace

void ed25519_sign(Bytes seed, std::string_view text, unsigned char signature[64]) {
    const Key key = private_key(seed);
    const Context context(EVP_MD_CTX_new());
    size_t size = kSignatureSize;
    if (context == nullptr || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), signature, &size, data_of(text), text.size()) != 1 || size != kSignatureSize)
        fail();
}

// A public key that is no point of the curve has signed nothing.
bool ed25519_verify(Bytes public_key, std::string_view text, const unsigned char signature[64]) {
    const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data, public_key.size));
    const Context context(EVP_MD_CTX_new());
    if (key == nullptr || context == nullptr ||
        EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1)
        fail();
    return EVP_DigestVerify(context.get(), signature, kSignatureSize, data_of(text), text.size()) == 1;
}

void ed25519_public_key(Bytes seed, unsigned char public_key[32]) {
    size_t size = kCheckpointKeySize;
    if (EVP_PKEY_get_raw_public_key(private_key(seed).get(), public_key, &size) != 1) fail();
}

}  // namespace raxx
