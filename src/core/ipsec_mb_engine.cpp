// The engine of Intel's library, which exists on amd64 only. Its manager holds states derived from keys, so it
// lives in memory for secrets. Which instructions are used is the library's choice, by the processor.
#include "core/mac_engine.h"

#if __has_include(<intel-ipsec-mb.h>)

#include <intel-ipsec-mb.h>

#include <vector>

#include "core/secret.h"

namespace raxx {
namespace {

std::string arch_name(IMB_ARCH arch) {
    switch (arch) {
        case IMB_ARCH_SSE:
            return ", SSE";
        case IMB_ARCH_AVX2:
            return ", AVX2";
        case IMB_ARCH_AVX512:
            return ", AVX-512";
        default:
            return "";
    }
}

class IpsecMbEngine : public MacEngine {
  public:
    IpsecMbEngine()
        : memory_(imb_get_mb_mgr_size()),
          manager_(imb_set_pointers_mb_mgr(memory_.data(), 0, 1)),
          job_memory_(kMostJobs * sizeof(IMB_JOB)),
          jobs_(reinterpret_cast<IMB_JOB*>(job_memory_.data())) {
        if (manager_ == nullptr) return;
        init_mb_mgr_auto(manager_, &arch_);
        for (size_t i = 0; i < kMostJobs; ++i) {
            jobs_[i].cipher_mode = IMB_CIPHER_NULL;
            jobs_[i].cipher_direction = IMB_DIR_ENCRYPT;
            jobs_[i].hash_alg = IMB_AUTH_HMAC_SHA_256;
            jobs_[i].chain_order = IMB_ORDER_HASH_CIPHER;
            jobs_[i].auth_tag_output_len_in_bytes = kMacSize;
        }
    }

    [[nodiscard]] bool works() const { return manager_ != nullptr && imb_get_errno(manager_) == 0; }

    [[nodiscard]] std::string name() const override {
        return "intel-ipsec-mb " + std::string(imb_get_version_str()) + arch_name(arch_);
    }

    void run(std::span<const MacJob> jobs) override {
        for (size_t i = 0; i < jobs.size(); ++i) {
            jobs_[i].src = jobs[i].message;
            jobs_[i].msg_len_to_hash_in_bytes = jobs[i].size;
            jobs_[i].auth_tag_output = jobs[i].mac;
            jobs_[i].u.HMAC._hashed_auth_key_xor_ipad = reinterpret_cast<const uint8_t*>(jobs[i].key->inner);
            jobs_[i].u.HMAC._hashed_auth_key_xor_opad = reinterpret_cast<const uint8_t*>(jobs[i].key->outer);
        }
        const auto count = static_cast<uint32_t>(jobs.size());
        if (IMB_SUBMIT_HASH_BURST(manager_, jobs_, count, IMB_AUTH_HMAC_SHA_256) != count)
            throw Failure{sqlstate::kInternal, "intel-ipsec-mb could not compute MACs",
                          imb_get_strerror(imb_get_errno(manager_)), ""};
    }

  private:
    SecretMemory memory_;
    IMB_MGR* manager_;
    SecretMemory job_memory_;
    IMB_JOB* jobs_;
    IMB_ARCH arch_ = IMB_ARCH_NONE;
};

}  // namespace

std::unique_ptr<MacEngine> make_ipsec_mb_engine() {
    auto engine = std::make_unique<IpsecMbEngine>();
    return engine->works() ? std::move(engine) : nullptr;
}

}  // namespace raxx

#else

namespace raxx {

std::unique_ptr<MacEngine> make_ipsec_mb_engine() { return nullptr; }

}  // namespace raxx

#endif
