#include "core/email_velocity.h"

#include <cstring>
#include <string>
#include <vector>

namespace raxx {

Status EmailVelocity::add(const Rows& rows) {
    std::vector<Time> times;
    std::string text;
    std::vector<size_t> ends;
    for (uint32_t i = 0; i < rows.count; ++i) {
        EmailPattern pattern;
        email_pattern(rows.keys[i], &pattern);
        if (pattern.registrable_domain[0] == '\0') continue;
        text += pattern.registrable_domain;
        times.push_back(rows.times[i]);
        ends.push_back(text.size());
        if (pattern.shape[0] == '\0') continue;
        text.append(pattern.shape).append("@").append(pattern.registrable_domain);
        times.push_back(rows.times[i]);
        ends.push_back(text.size());
    }
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::vector<Bytes> keys(ends.size());
    for (size_t i = 0, begin = 0; i < ends.size(); begin = ends[i++]) {
        keys[i] = {bytes + begin, static_cast<uint32_t>(ends[i] - begin)};
    }
    return VelocityByTime::add({static_cast<uint32_t>(keys.size()), times.data(), keys.data(), nullptr});
}

}  // namespace raxx
