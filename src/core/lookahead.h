// How far ahead of the row at hand the hash table's memory is asked for: far enough for a cache miss to be over
// when its row comes, near enough for the line to be still there. Measured at 200,000 keys; flat around these
// values.
#pragma once

#include <vector>

#include "core/key_table.h"

namespace raxx {

constexpr size_t kEntryAhead = 8;
constexpr size_t kSlotAhead = 2 * kEntryAhead;

template <class State>
void look_ahead(const KeyTable<State>& keys, const std::vector<typename KeyTable<State>::Tag>& tags, size_t at) {
    if (at + kSlotAhead < tags.size()) keys.prefetch_slot(tags[at + kSlotAhead]);
    if (at + kEntryAhead < tags.size()) keys.prefetch_entry(tags[at + kEntryAhead]);
}

}  // namespace raxx
