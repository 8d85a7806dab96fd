#include "core/collector.h"

#include <algorithm>
#include <utility>

#include "core/lookahead.h"

namespace raxx {

Collector::Collector(const Spec& spec, std::unique_ptr<Evaluation> next)
    : memory_limit_(spec.memory_limit), next_(std::move(next)), keys_(spec.seed), values_(spec.seed) {}

Status Collector::add(const Rows& rows) {
    const size_t before = rows_.size();
    for (uint32_t i = 0; i < rows.count; ++i) rows_.push_back({rows.times[i], 0, 0});
    TimedRow* added = rows_.data() + before;
    if (rows.keys != nullptr) {
        intern(&keys_, rows.keys, rows.count, [&](uint32_t i, uint32_t id) { added[i].key = id; });
    }
    if (rows.values != nullptr) {
        intern(&values_, rows.values, rows.count, [&](uint32_t i, uint32_t id) { added[i].value = id; });
    }
    // The sort needs as much again, and the evaluation behind it something, too.
    return keys_.memory() + values_.memory() + 2 * rows_.size() * sizeof(TimedRow) > memory_limit_ / 2
               ? Status::reread
               : Status::ok;
}

template <class Store>
void Collector::intern(KeyTable<Interned>* table, const Bytes* texts, uint32_t count, Store&& store) {
    tags_.resize(count);
    for (uint32_t i = 0; i < count; ++i) tags_[i] = table->tag(texts[i]);
    for (uint32_t i = 0; i < count; ++i) {
        look_ahead(*table, tags_, i);
        store(i, table->find_or_insert(texts[i], tags_[i]));
    }
}

Status Collector::finish() {
    if (sort_ == nullptr) sort_ = std::make_unique<RadixSort>(rows_);
    if (!sort_->done()) {
        sort_->step();
        return Status::more;
    }
    for (size_t i = 0; i < kBatchesPerCall && handed_on_ < rows_.size(); ++i) {
        if (hand_on(std::min(kRowsAtOnce, rows_.size() - handed_on_)) == Status::more) return Status::more;
    }
    return handed_on_ < rows_.size() ? Status::more : next_->finish();
}

Status Collector::hand_on(size_t count) {
    Time times[kRowsAtOnce];
    Bytes keys[kRowsAtOnce];
    Bytes values[kRowsAtOnce];
    for (size_t i = 0; i < count; ++i) {
        const TimedRow& row = rows_[handed_on_ + i];
        times[i] = row.time;
        keys[i] = keys_.size() == 0 ? Bytes{nullptr, 0} : keys_.key(row.key);
        values[i] = values_.size() == 0 ? Bytes{nullptr, 0} : values_.key(row.value);
    }
    const Status status = next_->add({static_cast<uint32_t>(count), times, keys, values});
    if (status == Status::ok) handed_on_ += count;
    return status;
}

size_t Collector::memory() const {
    return next_->memory() + keys_.memory() + values_.memory() + rows_.capacity() * sizeof(TimedRow) +
           (sort_ == nullptr ? 0 : sort_->memory());
}

}  // namespace raxx
