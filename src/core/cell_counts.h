// Cell counts: how many rows, or distinct values, did each key bring in each cell of time?
//
// Rows come by time, so a key has one cell open at most: its count stands beside the key, where the row finds it. A
// cell that is over goes into the sums of its hour, of which a key has a chain of those in which it came; so memory
// follows the keys and not the cells. A table of all pairs of key and cell would take rows in any order, but takes
// three times as long for rows in order, saves little over sorting the others, and holds every cell.
#pragma once

#include <vector>

#include "core/evaluation.h"
#include "core/key_table.h"

namespace raxx {

class CellCounter : public Evaluation {
  public:
    explicit CellCounter(const Spec& spec);
    Status add(const Rows& rows) override;
    Status finish() override;
    CellCounts cell_counts() const override { return result_; }
    HourlyCounts key_counts(size_t at) const override;
    size_t memory() const override;

  private:
    static constexpr uint32_t kNone = UINT32_MAX;

    struct Open {
        uint32_t cell = 0;  // its number; 0: none yet
        uint32_t count = 0;
    };
    struct History {
        int64_t sum = 0;
        uint32_t last = kNone;  // of its hours
    };
    struct Hour {
        int64_t sum;
        double squares;
        uint32_t cells;
        uint32_t at;        // which of hour_starts_
        uint32_t previous;  // of the same key
    };
    struct Unused {
        uint32_t unused = 0;
    };

    bool move_to(Time time);  // false: not done, since too many values are to be forgotten
    bool forget_values();
    bool is_new_value(uint32_t id, Bytes value);
    void count(uint32_t id);
    void open(uint32_t id);
    void close(uint32_t id);
    void choose_keys();
    void make_sketch();

    Time begin_;
    Time length_;
    bool distinct_;
    size_t keep_;
    std::vector<Time> hour_starts_;
    std::vector<int32_t> hours_;

    uint32_t cell_ = 0;  // the number of the cell at hand: only cells with rows have one
    Time cell_end_ = kMinusInfinity;
    uint32_t hour_ = 0;  // of the cell at hand: which of hour_starts_
    uint32_t next_ = 0;  // the row of the batch at which add() goes on
    KeyTable<Open> keys_;
    std::vector<History> histories_;  // by the keys' ids
    std::vector<Hour> key_hours_;
    KeyTable<Unused> values_;  // of the cell at hand, each behind its key's id
    std::vector<uint32_t> value_ids_;
    std::vector<KeyTable<Open>::Tag> tags_;
    std::vector<unsigned char> pair_;

    uint32_t closed_ = 0;  // the keys that finish() is done with
    std::vector<int64_t> buckets_;
    std::vector<uint32_t> chosen_;
    std::vector<Bytes> chosen_keys_;
    std::vector<int32_t> sketch_keys_;
    std::vector<int64_t> sketch_counts_;
    CellCounts result_ = {};
};

}  // namespace raxx
