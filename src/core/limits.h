// The number that an episode needs: one for all keys and times, or one for each key and stretch of time, as
// baselines give them.
//
// A key that has none never reaches it. Which stretch it is follows the time that advance() was last told.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/fence.h"

namespace raxx {

class Limits {
  public:
    explicit Limits(const Spec& spec) : for_all_(clamp(spec.threshold)) {
        if (spec.limits != nullptr) fill(*spec.limits);
    }

    // True if what of() says may be different from now on. Times must not fall.
    bool advance(Time time) {
        if (time < next_change_) return false;
        now_ = time;
        const auto change = std::upper_bound(changes_.begin(), changes_.end(), now_);
        next_change_ = change == changes_.end() ? kInfinity : *change;
        return true;
    }

    uint32_t of(Bytes key) const {
        if (keys_.empty()) return for_all_;
        const auto found = keys_.find(std::string_view(reinterpret_cast<const char*>(key.data), key.size));
        if (found == keys_.end()) return kNever;
        const auto& stretches = found->second;
        const auto after = std::upper_bound(stretches.begin(), stretches.end(), now_,
                                            [](Time time, const Stretch& stretch) { return time < stretch.from; });
        return after == stretches.begin() ? kNever : std::prev(after)->limit;
    }

    size_t memory() const { return memory_; }

  private:
    static constexpr uint32_t kNever = UINT32_MAX;  // more than a window can hold

    struct Stretch {
        Time from;
        uint32_t limit;
    };

    static uint32_t clamp(int64_t limit) { return static_cast<uint32_t>(std::clamp<int64_t>(limit, 1, kNever)); }

    void fill(const KeyLimits& limits) {
        for (uint32_t i = 0; i < limits.count; ++i) {
            const Bytes key = limits.keys[i];
            keys_[std::string(reinterpret_cast<const char*>(key.data), key.size)].push_back(
                {limits.from[i], clamp(limits.limits[i])});
            changes_.push_back(limits.from[i]);
            memory_ += sizeof(Stretch) + key.size;
        }
        for (auto& [key, stretches] : keys_) {
            std::stable_sort(stretches.begin(), stretches.end(),
                             [](const Stretch& a, const Stretch& b) { return a.from < b.from; });
        }
        std::sort(changes_.begin(), changes_.end());
        changes_.erase(std::unique(changes_.begin(), changes_.end()), changes_.end());
        if (keys_.empty()) for_all_ = kNever;
        next_change_ = changes_.empty() ? kInfinity : kMinusInfinity;
    }

    uint32_t for_all_;
    std::map<std::string, std::vector<Stretch>, std::less<>> keys_;
    std::vector<Time> changes_;
    Time now_ = kMinusInfinity;
    Time next_change_ = kInfinity;
    size_t memory_ = 0;
};

}  // namespace raxx
