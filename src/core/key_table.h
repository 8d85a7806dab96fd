// A hash table from key bytes to a small State, made for one hot loop: every row of a window finds its key here.
//
// A key gets a dense id, its own until release(). Entries are 32 bytes, so two share a cache line; keys that fit
// stand inside the entry, longer ones on the heap. Hashes are keyed by a seed that nobody outside knows, since
// attackers choose the keys. Keys are released as soon as they leave the window: memory follows the window and not
// what was ever seen, and a small table stays in the cache.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <vector>

#include "core/fence.h"

namespace raxx {

template <class State>
class KeyTable {
  public:
    using Tag = uint32_t;

    explicit KeyTable(uint64_t seed) : seed_(seed), slots_(kFirstSlots), mask_(kFirstSlots - 1) {}
    KeyTable(const KeyTable&) = delete;
    KeyTable& operator=(const KeyTable&) = delete;
    ~KeyTable() {
        for (Entry& entry : entries_) free_key(entry);
    }

    Tag tag(Bytes key) const { return static_cast<Tag>(XXH3_64bits_withSeed(key.data, key.size, seed_)); }

    // Hints to the processor, for rows further down the batch: first the slot, then, once that is there, the entry.
    void prefetch_slot(Tag tag) const { __builtin_prefetch(&slots_[tag & mask_]); }
    void prefetch_entry(Tag tag) const {
        const Slot slot = slots_[tag & mask_];
        if (slot.id_plus_1 != 0) __builtin_prefetch(&entries_[slot.id_plus_1 - 1], 1);
    }
    void prefetch_id(uint32_t id) const { __builtin_prefetch(&entries_[id], 1); }

    // The id of the key; a new key starts with State{}.
    uint32_t find_or_insert(Bytes key, Tag tag) {
        size_t at = tag & mask_;
        for (; slots_[at].id_plus_1 != 0; at = (at + 1) & mask_) {
            if (slots_[at].tag == tag && equals(entries_[slots_[at].id_plus_1 - 1], key)) {
                return slots_[at].id_plus_1 - 1;
            }
        }
        if (2 * (used_ + 1) > slots_.size()) {
            double_slots();
            at = free_slot(tag);
        }
        const uint32_t id = new_entry(key);
        slots_[at] = {tag, id + 1};
        ++used_;
        return id;
    }

    State& operator[](uint32_t id) { return entries_[id].state; }
    Bytes key(uint32_t id) const { return entries_[id].bytes(); }
    size_t size() const { return used_; }
    size_t memory() const {
        return entries_.capacity() * sizeof(Entry) + slots_.capacity() * sizeof(Slot) +
               free_ids_.capacity() * sizeof(uint32_t) + heap_bytes_;
    }

    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const Slot& slot : slots_) {
            if (slot.id_plus_1 != 0) visit(slot.id_plus_1 - 1);
        }
    }

    // Forgets the key; its id may go to another one.
    void release(uint32_t id) {
        size_t hole = tag(key(id)) & mask_;
        while (slots_[hole].id_plus_1 != id + 1) hole = (hole + 1) & mask_;
        close_hole(hole);
        --used_;
        free_ids_.push_back(id);
        free_key(entries_[id]);
    }

  private:
    static constexpr size_t kFirstSlots = 256;
    static constexpr size_t kInline = 32 - sizeof(State) - sizeof(uint32_t);

    struct Slot {
        Tag tag = 0;
        uint32_t id_plus_1 = 0;
    };

    struct Entry {
        State state;
        uint32_t size;
        unsigned char inline_bytes[kInline];

        Bytes bytes() const {
            if (size <= kInline) return {inline_bytes, size};
            const unsigned char* heap = nullptr;
            std::memcpy(&heap, inline_bytes, sizeof heap);
            return {heap, size};
        }
    };
    static_assert(std::is_trivially_copyable_v<Entry> && kInline >= sizeof(void*));

    static bool equals(const Entry& entry, Bytes key) {
        return entry.size == key.size &&
               (key.size == 0 || std::memcmp(entry.bytes().data, key.data, key.size) == 0);
    }

    uint32_t new_entry(Bytes key) {
        if (free_ids_.empty()) {
            entries_.emplace_back();
            entries_.back().size = 0;
            free_ids_.push_back(static_cast<uint32_t>(entries_.size() - 1));
        }
        const uint32_t id = free_ids_.back();
        Entry& entry = entries_[id];
        if (key.size <= kInline) {
            if (key.size != 0) std::memcpy(entry.inline_bytes, key.data, key.size);
        } else {
            void* heap = std::malloc(key.size);
            if (heap == nullptr) throw std::bad_alloc();
            std::memcpy(heap, key.data, key.size);
            std::memcpy(entry.inline_bytes, &heap, sizeof heap);
            heap_bytes_ += key.size;
        }
        entry.state = State{};
        entry.size = key.size;
        free_ids_.pop_back();
        return id;
    }

    void free_key(Entry& entry) {
        if (entry.size > kInline) {
            heap_bytes_ -= entry.size;
            std::free(const_cast<unsigned char*>(entry.bytes().data));
        }
        entry.size = 0;
    }

    // Linear probing must not have holes: moves up what stands after this one, unless that is at home there.
    void close_hole(size_t hole) {
        for (size_t at = (hole + 1) & mask_; slots_[at].id_plus_1 != 0; at = (at + 1) & mask_) {
            if (((at - slots_[at].tag) & mask_) < ((at - hole) & mask_)) continue;
            slots_[hole] = slots_[at];
            hole = at;
        }
        slots_[hole] = Slot{};
    }

    size_t free_slot(Tag tag) const {
        size_t at = tag & mask_;
        while (slots_[at].id_plus_1 != 0) at = (at + 1) & mask_;
        return at;
    }

    void double_slots() {
        std::vector<Slot> old(2 * slots_.size());
        old.swap(slots_);
        mask_ = slots_.size() - 1;
        for (const Slot& slot : old) {
            if (slot.id_plus_1 != 0) slots_[free_slot(slot.tag)] = slot;
        }
    }

    uint64_t seed_;
    std::vector<Slot> slots_;
    size_t mask_;
    std::vector<Entry> entries_;
    std::vector<uint32_t> free_ids_;
    size_t used_ = 0;
    size_t heap_bytes_ = 0;
};

}  // namespace raxx
