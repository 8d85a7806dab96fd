// The tally against its naive twin, which sorts: chains that are tampered with in every way, in any order, in
// parts.
#include "core/chain_tally.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "core/failure.h"

namespace raxx {
namespace {

using Mac = std::array<unsigned char, kMacSize>;

struct Entry {
    int64_t seq;
    Mac prev;
    Mac mac;
    bool valid = true;
    ChainLink link() const { return {seq, prev.data(), mac.data()}; }
};

Mac random_mac(std::mt19937_64* random) {
    Mac mac;
    for (unsigned char& byte : mac) byte = static_cast<unsigned char>((*random)());
    return mac;
}

std::vector<Entry> make_chain(std::mt19937_64* random, int64_t from, int64_t to, Mac prev) {
    std::vector<Entry> chain;
    for (int64_t seq = from; seq <= to; ++seq) {
        chain.push_back({seq, prev, random_mac(random)});
        prev = chain.back().mac;
    }
    return chain;
}

// By the definition: every number once, every entry valid, each following the one before.
bool is_sound(std::vector<Entry> entries, SeqRange range, const Mac* before, const Mac* last) {
    std::ranges::sort(entries, {}, &Entry::seq);
    int64_t expected = range.from;
    const Mac* follows = before;
    for (const Entry& entry : entries) {
        if (entry.seq != expected || !entry.valid || (follows != nullptr && entry.prev != *follows)) return false;
        follows = &entry.mac;
        ++expected;
    }
    return expected == range.to + 1 && (last == nullptr || entries.empty() || entries.back().mac == *last);
}

void add(ChainTally* tally, const Entry& entry) {
    tally->add(entry.link());
    tally->note(entry.seq, entry.valid ? EntryState::valid : EntryState::invalid);
}

const unsigned char* bytes_of(const Mac* mac) { return mac == nullptr ? nullptr : mac->data(); }

// One of the ways to tamper; 0: none.
void tamper(std::vector<Entry>* entries, int way, std::mt19937_64* random) {
    const size_t at = (*random)() % entries->size();
    const size_t other = (*random)() % entries->size();
    switch (way) {
        case 1:
            entries->erase(entries->begin() + static_cast<std::ptrdiff_t>(at));
            break;
        case 2:
            entries->push_back((*entries)[at]);
            break;
        case 3:
            (*entries)[at].valid = false;
            break;
        case 4:
            (*entries)[at].mac = random_mac(random);
            break;
        case 5:
            (*entries)[at].prev = random_mac(random);
            break;
        case 6:
            std::swap((*entries)[at].seq, (*entries)[other].seq);
            break;
        case 7:  // one gone, another there twice: the number of entries is right
            (*entries)[at] = (*entries)[other];
            break;
        case 8:
            std::swap((*entries)[at].prev, (*entries)[other].prev);
            break;
        case 9:  // the rest sealed anew
            for (size_t i = at; i < entries->size(); ++i) {
                if (i > 0) (*entries)[i].prev = (*entries)[i - 1].mac;
                (*entries)[i].mac = random_mac(random);
            }
            break;
        default:
            break;
    }
}

TEST(ChainTally, AgreesWithTheDefinition) {
    std::mt19937_64 random(11);
    int broken = 0;
    for (int round = 0; round < 4000; ++round) {
        const int64_t from = round % 3 == 0 ? 0 : static_cast<int64_t>(random() % 1000);
        const SeqRange range = {from, from + static_cast<int64_t>(random() % 40)};
        const Mac before = random_mac(&random);
        std::vector<Entry> entries = make_chain(&random, range.from, range.to, before);
        const Mac last = entries.back().mac;
        tamper(&entries, static_cast<int>(random() % 10), &random);
        std::ranges::shuffle(entries, random);
        const Mac* knows_before = random() % 2 == 0 ? &before : nullptr;
        const Mac* knows_last = random() % 2 == 0 ? &last : nullptr;

        // In parts, one of them through bytes.
        ChainTally tally(range.from, range.to, 7);
        ChainTally part(range.from, range.to, 7);
        for (const Entry& entry : entries) add(random() % 2 == 0 ? &tally : &part, entry);
        const std::vector<unsigned char> bytes = part.serialized();
        tally.merge(ChainTally(Bytes{bytes.data(), static_cast<uint32_t>(bytes.size())}));

        const bool sound = is_sound(entries, range, knows_before, knows_last);
        broken += sound ? 0 : 1;
        EXPECT_EQ(tally.suspicious(bytes_of(knows_before), bytes_of(knows_last)).empty(), sound)
            << "round " << round;
        EXPECT_EQ(tally.counts().entries, static_cast<int64_t>(entries.size()));
    }
    EXPECT_GT(broken, 2000);
}

TEST(ChainTally, NamesTheNumbers) {
    std::mt19937_64 random(12);
    const Mac zero = {};
    std::vector<Entry> entries = make_chain(&random, 0, 999, zero);
    entries.erase(entries.begin() + 500);
    entries[100].valid = false;
    ChainTally tally(0, 999, 1);
    for (const Entry& entry : entries) add(&tally, entry);
    const std::vector<SeqRange> ranges = tally.suspicious(zero.data(), entries.back().mac.data());
    ASSERT_EQ(ranges.size(), 2);
    EXPECT_EQ(ranges[0].from, 100);
    EXPECT_EQ(ranges[0].to, 101);
    EXPECT_LE(ranges[1].from, 500);
    EXPECT_GE(ranges[1].to, 500);
    EXPECT_LT(ranges[1].to - ranges[1].from, 4);
}

TEST(ChainTally, ManyNumbersInFewBuckets) {
    std::mt19937_64 random(13);
    Mac prev = {};
    ChainTally tally(0, 299999, 1);
    int64_t missing = 123456;
    Mac last = {};
    for (int64_t seq = 0; seq < 300000; ++seq) {
        const Entry entry = {seq, prev, random_mac(&random)};
        if (seq != missing) add(&tally, entry);
        prev = entry.mac;
        last = entry.mac;
    }
    const Mac zero = {};
    const std::vector<SeqRange> ranges = tally.suspicious(zero.data(), last.data());
    ASSERT_EQ(ranges.size(), 1);
    EXPECT_LE(ranges[0].from, missing);
    EXPECT_GE(ranges[0].to, missing);
    EXPECT_LE(ranges[0].to - ranges[0].from, 16);
}

TEST(ChainTally, CountsWhatIsOutside) {
    const Mac mac = {};
    ChainTally tally(10, 19, 1);
    tally.add({5, mac.data(), mac.data()});
    tally.add({20, mac.data(), mac.data()});
    tally.add_unsealed();
    EXPECT_EQ(tally.counts().entries, 0);
    EXPECT_EQ(tally.counts().outside, 2);
    EXPECT_EQ(tally.counts().highest_outside, 20);
    EXPECT_EQ(tally.counts().unsealed, 1);
}

TEST(ChainTally, NothingIsSound) { EXPECT_TRUE(ChainTally(5, 4, 1).suspicious(nullptr, nullptr).empty()); }

TEST(ChainTally, RefusesWhatIsNoRange) {
    EXPECT_THROW(ChainTally(-1, 5, 1), Failure);
    EXPECT_THROW(ChainTally(5, 3, 1), Failure);
    EXPECT_THROW(ChainTally(0, INT64_MAX, 1), Failure);
    ChainTally tally(0, 9, 1);
    EXPECT_THROW(tally.merge(ChainTally(0, 9, 2)), Failure);
    EXPECT_THROW(tally.merge(ChainTally(0, 8, 1)), Failure);
    const std::vector<unsigned char> bytes = tally.serialized();
    EXPECT_THROW(ChainTally(Bytes{bytes.data(), static_cast<uint32_t>(bytes.size() - 1)}), Failure);
}

}  // namespace
}  // namespace raxx
