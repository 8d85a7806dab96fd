#include "core/cell_counts.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "core/clock.h"
#include "core/failure.h"
#include "core/lookahead.h"
#include "core/quantile_sketch.h"

namespace raxx {
namespace {

// Of what a cell can hold, 1 to 2^32 - 1: so few that each has its place.
const int32_t kFirstBucket = sketch_key(1);
const int32_t kLastBucket = sketch_key(UINT32_MAX);

[[noreturn]] void refuse_rows() {
    throw Failure{sqlstate::kLimitExceeded, "too many rows to count",
                  "There are more than 4294967294 in one cell, or as many cells.", "Shorten the time range."};
}

}  // namespace

CellCounter::CellCounter(const Spec& spec)
    : begin_(spec.cells->begin),
      length_(spec.window),
      distinct_(spec.cells->distinct),
      keep_(spec.cells->keep),
      hour_starts_(spec.cells->hour_starts, spec.cells->hour_starts + spec.cells->hour_count),
      hours_(spec.cells->hours, spec.cells->hours + spec.cells->hour_count),
      keys_(spec.seed),
      values_(spec.seed),
      buckets_(static_cast<size_t>(kLastBucket - kFirstBucket) + 1) {}

Status CellCounter::add(const Rows& rows) {
    if (next_ == 0) {
        tags_.resize(rows.count);
        for (uint32_t i = 0; i < rows.count; ++i) tags_[i] = keys_.tag(rows.keys[i]);
    }
    for (uint32_t i = next_; i < rows.count; ++i) {
        look_ahead(keys_, tags_, i);
        if (!move_to(rows.times[i])) {
            next_ = i;
            return Status::more;
        }
        const uint32_t id = keys_.find_or_insert(rows.keys[i], tags_[i]);
        if (id == histories_.size()) histories_.emplace_back();
        if (!distinct_ || is_new_value(id, rows.values[i])) count(id);
    }
    next_ = 0;
    result_.rows += rows.count;
    return Status::ok;
}

bool CellCounter::move_to(Time time) {
    if (time < cell_end_) return true;
    if (!forget_values()) return false;
    if (time < begin_) throw Failure{sqlstate::kInternal, "a row lies before the first cell", "", ""};
    if (++cell_ == kNone) refuse_rows();
    const uint64_t since = static_cast<uint64_t>(time) - static_cast<uint64_t>(begin_);
    const Time cell_begin = time - static_cast<Time>(since % static_cast<uint64_t>(length_));
    cell_end_ = later(cell_begin, length_);
    while (hour_ + 1 < hour_starts_.size() && hour_starts_[hour_ + 1] <= cell_begin) ++hour_;
    return true;
}

bool CellCounter::forget_values() {
    for (size_t forgotten = 0; !value_ids_.empty(); ++forgotten) {
        if (forgotten == kRowsPerStep) return false;
        values_.release(value_ids_.back());
        value_ids_.pop_back();
    }
    return true;
}

bool CellCounter::is_new_value(uint32_t id, Bytes value) {
    pair_.resize(sizeof id + value.size);
    std::memcpy(pair_.data(), &id, sizeof id);
    if (value.size != 0) std::memcpy(pair_.data() + sizeof id, value.data, value.size);
    const Bytes pair = {pair_.data(), static_cast<uint32_t>(pair_.size())};
    const size_t before = values_.size();
    const uint32_t value_id = values_.find_or_insert(pair, values_.tag(pair));
    if (values_.size() == before) return false;
    value_ids_.push_back(value_id);
    return true;
}

void CellCounter::count(uint32_t id) {
    Open& at_hand = keys_[id];
    if (at_hand.cell != cell_) {
        close(id);
        open(id);
    }
    if (++at_hand.count == kNone) refuse_rows();
}

void CellCounter::open(uint32_t id) {
    keys_[id] = {cell_, 0};
    History& history = histories_[id];
    if (history.last != kNone && key_hours_[history.last].at == hour_) return;
    if (key_hours_.size() == kNone) refuse_rows();
    key_hours_.push_back({0, 0, 0, hour_, history.last});
    history.last = static_cast<uint32_t>(key_hours_.size() - 1);
}

void CellCounter::close(uint32_t id) {
    const uint32_t count = keys_[id].count;
    if (count == 0) return;
    const double square = static_cast<double>(count) * static_cast<double>(count);
    histories_[id].sum += count;
    Hour& hour = key_hours_[histories_[id].last];
    hour.sum += count;
    hour.squares += square;
    ++hour.cells;
    const auto of_clock = static_cast<size_t>(hours_[hour.at]);
    ++result_.all.cells[of_clock];
    result_.all.sums[of_clock] += count;
    result_.all.squares[of_clock] += square;
    ++buckets_[static_cast<size_t>(sketch_key(count) - kFirstBucket)];
    Sketch& sketch = result_.sketch;
    if (sketch.count == 0 || count < sketch.min) sketch.min = count;
    if (count > sketch.max) sketch.max = count;
    ++sketch.count;
}

Status CellCounter::finish() {
    if (!forget_values()) return Status::more;
    for (size_t done = 0; closed_ < histories_.size(); ++done, ++closed_) {
        if (done == kRowsPerStep) return Status::more;
        close(closed_);
    }
    choose_keys();
    make_sketch();
    return Status::ok;
}

// All that have more than the last one wanted, then those that have as much.
void CellCounter::choose_keys() {
    const size_t wanted = std::min(keep_, histories_.size());
    if (wanted == 0) return;
    std::vector<int64_t> sums;
    sums.reserve(histories_.size());
    for (const History& history : histories_) sums.push_back(history.sum);
    const auto last_wanted = sums.begin() + static_cast<ptrdiff_t>(wanted) - 1;
    std::nth_element(sums.begin(), last_wanted, sums.end(), std::greater<>());
    const int64_t least = *last_wanted;
    for (uint32_t id = 0; id < histories_.size(); ++id) {
        if (histories_[id].sum > least) chosen_.push_back(id);
    }
    result_.certain = chosen_.size();
    for (uint32_t id = 0; id < histories_.size(); ++id) {
        if (histories_[id].sum == least) chosen_.push_back(id);
    }
    result_.tied = chosen_.size() - result_.certain;
    chosen_keys_.reserve(chosen_.size());
    for (const uint32_t id : chosen_) chosen_keys_.push_back(keys_.key(id));
    result_.keys = chosen_keys_.data();
}

void CellCounter::make_sketch() {
    for (size_t i = 0; i < buckets_.size(); ++i) {
        if (buckets_[i] == 0) continue;
        sketch_keys_.push_back(kFirstBucket + static_cast<int32_t>(i));
        sketch_counts_.push_back(buckets_[i]);
    }
    result_.sketch.buckets = static_cast<uint32_t>(sketch_keys_.size());
    result_.sketch.keys = sketch_keys_.data();
    result_.sketch.counts = sketch_counts_.data();
}

HourlyCounts CellCounter::key_counts(size_t at) const {
    HourlyCounts result = {};
    for (uint32_t i = histories_[chosen_[at]].last; i != kNone; i = key_hours_[i].previous) {
        const Hour& hour = key_hours_[i];
        const auto of_clock = static_cast<size_t>(hours_[hour.at]);
        result.cells[of_clock] += hour.cells;
        result.sums[of_clock] += hour.sum;
        result.squares[of_clock] += hour.squares;
    }
    return result;
}

// The choice at the end needs a number for each key.
size_t CellCounter::memory() const {
    return keys_.memory() + histories_.capacity() * (sizeof(History) + sizeof(int64_t)) +
           key_hours_.capacity() * sizeof(Hour) + values_.memory() + value_ids_.capacity() * sizeof(uint32_t) +
           pair_.capacity() + chosen_.capacity() * sizeof(uint32_t) + chosen_keys_.capacity() * sizeof(Bytes);
}

}  // namespace raxx
