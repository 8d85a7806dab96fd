// What computes many HMACs at once: intel-ipsec-mb where it is compiled in (16 messages side by side with AVX-512),
// and OpenSSL otherwise. An engine is used only after it gave known answers in this process.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "core/hmac.h"

namespace raxx {

// Up to kJobSlack bytes before and after the message may be read, and have to be there.
constexpr size_t kJobSlack = 64;
struct MacJob {
    const HmacKey* key;
    const unsigned char* message;
    uint32_t size;  // from 1 to kLongestJob
    unsigned char* mac;
};
constexpr uint32_t kLongestJob = 16'384;
constexpr size_t kMostJobs = 128;

class MacEngine {
  public:
    MacEngine() = default;
    MacEngine(const MacEngine&) = delete;
    MacEngine& operator=(const MacEngine&) = delete;
    virtual ~MacEngine() = default;
    [[nodiscard]] virtual std::string name() const = 0;
    virtual void run(std::span<const MacJob> jobs) = 0;  // at most kMostJobs; all MACs are there when it returns
};

using EngineMaker = std::unique_ptr<MacEngine> (*)();
std::unique_ptr<MacEngine> make_ipsec_mb_engine();  // nullptr: not compiled in, or not for this processor
std::unique_ptr<MacEngine> make_openssl_engine();

// The test cases of RFC 4231.
[[nodiscard]] bool gives_known_answers(MacEngine& engine);

// The first that is there and gives known answers; throws a Failure if none does.
[[nodiscard]] size_t choose_engine(std::span<const EngineMaker> makers);

// An engine of the kind that was chosen when this process made its first.
[[nodiscard]] std::unique_ptr<MacEngine> make_mac_engine();

}  // namespace raxx
