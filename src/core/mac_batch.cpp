#include "core/mac_batch.h"

namespace raxx {

void MacBatch::submit(EntryKind kind, int64_t seq, const unsigned char prev[kMacSize], Bytes body,
                      const unsigned char stored[kMacSize], uint64_t cookie) {
    MacResult result = {cookie, seq, MacVerdict::wrong};
    if (seq < 0) {
        batch_.note(result);
        return;
    }
    const HmacKey* key = reading_.key(reading_.epoch_of(seq));
    if (key == nullptr) {
        result.verdict = MacVerdict::no_key;
        batch_.note(result);
        return;
    }
    unsigned char header[kEntryHeader];
    write_entry_header(kind, seq, prev, header);
    batch_.submit(*key, {header, sizeof header}, body, stored, result);
}

}  // namespace raxx
