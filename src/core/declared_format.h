// How an application makes the MACs of its own chain: as it was declared (docs/chains-by-applications.md), with
// every default filled in. SQL checks what people declare; here it only has to be all there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/plain_form.h"

namespace raxx {

enum class DeclaredEncoding : uint8_t { separated, length_prefixed, json, canonical };
enum class PrevPosition : uint8_t { first, last, none };
enum class DeclaredAlgorithm : uint8_t { hmac_sha256, sha256 };
enum class DeclaredDigest : uint8_t { hex, base64, bytes };

struct DeclaredColumn {
    std::string name;
    std::string kind;  // of the canonical form; "real" for a float of four bytes
};

struct DeclaredFormat {
    std::string prev_name;  // what the MAC before is called in a JSON object
    std::vector<DeclaredColumn> columns;
    std::string separator;
    std::string escape;  // empty, or one character that goes before the separator and itself
    std::string null_text;
    std::string key;      // its id; of HMAC only
    std::string genesis;  // as it would stand in the column of MACs
    DeclaredEncoding encoding;
    PrevPosition prev_position;
    DeclaredAlgorithm algorithm;
    DeclaredDigest digest;
    TimeForm timestamps;
    bool has_prev;  // rows say which MAC they follow
    bool gaps;      // numbers may be missing: then only links count
};

// Throws a Failure unless the text is what raxx_detect.chain_declare makes of a declaration.
[[nodiscard]] DeclaredFormat parse_declared_format(std::string_view text);

}  // namespace raxx
