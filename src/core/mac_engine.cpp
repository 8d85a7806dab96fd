// The choice of an engine, and the one that is always there.
#include "core/mac_engine.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "core/hex.h"
#include "core/secret.h"

namespace raxx {
namespace {

class OpensslEngine : public MacEngine {
  public:
    [[nodiscard]] std::string name() const override {
        return std::string("OpenSSL ") + OpenSSL_version(OPENSSL_FULL_VERSION_STRING);
    }
    void run(std::span<const MacJob> jobs) override {
        for (const MacJob& job : jobs) hmac(*job.key, {{job.message, job.size}}, job.mac);
    }
};

// A byte or a text, so many times: what RFC 4231's keys and messages are made of.
struct Repeated {
    std::string_view part;
    size_t times;
};

struct KnownAnswer {
    Repeated key;
    Repeated message;
    std::string_view mac;
};

// RFC 4231, 4.2 to 4.8 without 4.4 and 4.6 of truncation: keys and messages shorter and longer than a block.
constexpr auto kKnownAnswers = std::to_array<KnownAnswer>({
    {{"\x0b", 20}, {"Hi There", 1}, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {{"Jefe", 1},
     {"what do ya want for nothing?", 1},
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {{"\xaa", 20}, {"\xdd", 50}, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {{"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19", 1},
     {"\xcd", 50},
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {{"\xaa", 131},
     {"Test Using Larger Than Block-Size Key - Hash Key First", 1},
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {{"\xaa", 131},
     {"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
      "hashed before being used by the HMAC algorithm.",
      1},
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
});

std::vector<unsigned char> bytes_of(const Repeated& repeated, size_t slack) {
    std::vector<unsigned char> bytes(slack);
    for (size_t i = 0; i < repeated.times; ++i)
        bytes.insert(bytes.end(), repeated.part.begin(), repeated.part.end());
    bytes.resize(bytes.size() + slack);
    return bytes;
}

constexpr std::array<EngineMaker, 2> kMakers = {make_ipsec_mb_engine, make_openssl_engine};

size_t chosen_engine() {
    static const size_t chosen = choose_engine(kMakers);
    return chosen;
}

}  // namespace

std::unique_ptr<MacEngine> make_openssl_engine() { return std::make_unique<OpensslEngine>(); }

bool gives_known_answers(MacEngine& engine) {
    // Each case several times, so that there are more messages than an engine has lanes.
    constexpr size_t kTimes = 7;
    constexpr size_t kJobs = kTimes * kKnownAnswers.size();
    std::array<HmacKey, kKnownAnswers.size()> keys{};
    std::array<std::vector<unsigned char>, kKnownAnswers.size()> messages;
    std::array<MacJob, kJobs> jobs{};
    std::array<std::array<unsigned char, kMacSize>, kJobs> macs{};
    for (size_t i = 0; i < kKnownAnswers.size(); ++i) {
        const std::vector<unsigned char> key = bytes_of(kKnownAnswers[i].key, 0);
        set_hmac_key(&keys[i], {key.data(), static_cast<uint32_t>(key.size())});
        messages[i] = bytes_of(kKnownAnswers[i].message, kJobSlack);
    }
    for (size_t i = 0; i < kJobs; ++i) {
        const size_t at = i % kKnownAnswers.size();
        const std::vector<unsigned char>& message = messages[at];
        jobs[i] = {&keys[at], message.data() + kJobSlack, static_cast<uint32_t>(message.size() - 2 * kJobSlack),
                   macs[i].data()};
    }
    engine.run(jobs);
    for (size_t i = 0; i < kJobs; ++i) {
        if (hex(macs[i].data(), kMacSize) != kKnownAnswers[i % kKnownAnswers.size()].mac) return false;
    }
    return true;
}

size_t choose_engine(std::span<const EngineMaker> makers) {
    for (size_t i = 0; i < makers.size(); ++i) {
        const std::unique_ptr<MacEngine> engine = makers[i]();
        if (engine != nullptr && gives_known_answers(*engine)) return i;
    }
    throw Failure{sqlstate::kInternal, "no implementation of HMAC-SHA256 gives known answers",
                  "The test cases of RFC 4231 failed with each.",
                  "Compare the installed OpenSSL and intel-ipsec-mb with their packages, and check the memory."};
}

std::unique_ptr<MacEngine> make_mac_engine() { return kMakers[chosen_engine()](); }

const char* mac_engine(Error* error) noexcept {
    static std::string name;
    const Status status = guarded(error, [] {
        if (name.empty()) name = make_mac_engine()->name();
        return Status::ok;
    });
    return status == Status::ok ? name.c_str() : nullptr;
}

}  // namespace raxx
