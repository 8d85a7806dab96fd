// The rows of the current window, oldest first: one queue over all keys, so that rows enter at one end of memory
// and leave at the other, wherever their keys' states lie. A ring that doubles when it is full.
#pragma once

#include <vector>

#include "core/fence.h"

namespace raxx {

class Fifo {
  public:
    struct Row {
        Time time;
        uint32_t id;
    };

    bool empty() const { return head_ == tail_; }
    size_t size() const { return tail_ - head_; }
    Row front() const { return {times_[head_ & mask_], ids_[head_ & mask_]}; }
    // The id `ahead` places behind the front, or the front's own where there is none.
    uint32_t id_ahead(size_t ahead) const { return ids_[(ahead < size() ? head_ + ahead : head_) & mask_]; }
    void pop() { ++head_; }
    void push(Time time, uint32_t id) {
        if (size() == times_.size()) grow();
        times_[tail_ & mask_] = time;
        ids_[tail_ & mask_] = id;
        ++tail_;
    }
    void clear() { head_ = tail_ = 0; }
    size_t memory() const { return times_.capacity() * (sizeof(Time) + sizeof(uint32_t)); }

  private:
    void grow() {
        const size_t doubled = times_.empty() ? 1024 : 2 * times_.size();
        std::vector<Time> times(doubled);
        std::vector<uint32_t> ids(doubled);
        const size_t count = size();
        for (size_t i = 0; i < count; ++i) {
            times[i] = times_[(head_ + i) & mask_];
            ids[i] = ids_[(head_ + i) & mask_];
        }
        times_.swap(times);
        ids_.swap(ids);
        mask_ = doubled - 1;
        head_ = 0;
        tail_ = count;
    }

    std::vector<Time> times_;
    std::vector<uint32_t> ids_;
    size_t mask_ = 0;
    size_t head_ = 0;
    size_t tail_ = 0;
};

}  // namespace raxx
