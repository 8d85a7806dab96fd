// Collector: gives an evaluation that wants its rows in time order rows that come in any order.
//
// It keeps them (16 bytes a row, each key and value once), sorts them by time with a radix sort, and hands them on.
// That beats a sort by the executor severalfold, but it holds the whole range: past the memory limit it says
// Status::reread, and the caller reads again and lets the executor sort, which can spill to disk.
#pragma once

#include <memory>
#include <vector>

#include "core/evaluation.h"
#include "core/key_table.h"
#include "core/radix_sort.h"

namespace raxx {

class Collector : public Evaluation {
  public:
    Collector(const Spec& spec, std::unique_ptr<Evaluation> next);
    Status add(const Rows& rows) override;
    Status finish() override;
    Episodes episodes() const override { return next_->episodes(); }
    EpisodeCounts episode_counts() const override { return next_->episode_counts(); }
    HourlyGaps hourly_gaps() const override { return next_->hourly_gaps(); }
    CellCounts cell_counts() const override { return next_->cell_counts(); }
    HourlyCounts key_counts(size_t at) const override { return next_->key_counts(at); }
    size_t memory() const override;

  private:
    struct Interned {
        uint32_t unused[2] = {0, 0};
    };
    static constexpr size_t kRowsAtOnce = 4096;
    static constexpr size_t kBatchesPerCall = 16;

    template <class Store>
    void intern(KeyTable<Interned>* table, const Bytes* texts, uint32_t count, Store&& store);
    Status hand_on(size_t count);

    size_t memory_limit_;
    std::unique_ptr<Evaluation> next_;
    KeyTable<Interned> keys_, values_;
    std::vector<KeyTable<Interned>::Tag> tags_;
    std::vector<TimedRow> rows_;
    std::unique_ptr<RadixSort> sort_;
    size_t handed_on_ = 0;
};

}  // namespace raxx
