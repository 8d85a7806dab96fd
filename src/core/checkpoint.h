// Checkpoints: what the head of a chain was, signed with Ed25519 so that it can be kept where the database cannot
// change it, and verified by whoever has the public key. A line of text each, of nine words:
//   raxx-checkpoint 1 CHAIN NUMBER SEQ MAC TIME KEY-ID SIGNATURE
// The signature, in Base64, is of all that stands before its blank.
#pragma once

#include <string>
#include <string_view>

#include "core/key_ring.h"

namespace raxx {

[[nodiscard]] std::string sign_checkpoint(const KeyRing& ring, const Checkpoint& checkpoint);

struct SignedCheckpoint {
    Checkpoint fields;
    std::string_view text;  // what is signed
    unsigned char signature[64];
};

// False: the line is not a checkpoint exactly as sign_checkpoint writes them.
[[nodiscard]] bool parse_checkpoint(std::string_view line, SignedCheckpoint* result);

[[nodiscard]] CheckpointVerdict verify_checkpoint(const KeyRing& ring, std::string_view line);

// Ed25519 (RFC 8032).
void ed25519_sign(Bytes seed, std::string_view text, unsigned char signature[64]);
[[nodiscard]] bool ed25519_verify(Bytes public_key, std::string_view text, const unsigned char signature[64]);
void ed25519_public_key(Bytes seed, unsigned char public_key[32]);

}  // namespace raxx
