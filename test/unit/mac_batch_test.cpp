// Many MACs at once, by each engine, beside OpenSSL's one-shot function: all lengths, any order, wrong ones among
// them.
#include "core/mac_batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "mac_cases.h"

namespace raxx {
namespace {

std::vector<EngineMaker> makers() {
    std::vector<EngineMaker> there = {make_openssl_engine};
    if (make_ipsec_mb_engine() != nullptr) there.push_back(make_ipsec_mb_engine);
    return there;
}

ChainReading reading_of(const std::string& epochs) {
    const KeyRing ring("chain a " + std::string(64, 'a') + "\nchain b " + std::string(64, 'b'));
    return {&ring, parse_chain_description(R"({"chain": "00112233-4455-6677-8899-aabbccddeeff", "epochs": [)" +
                                           epochs + "]}")};
}

const std::string kTwoKeysAndNone =
    R"({"from": 0, "key": "a", "columns": []}, {"from": 2000, "key": "b", "columns": []},
       {"from": 4000, "key": "lost", "columns": []})";

// A job's message needs slack around it.
struct Message {
    Octets padded;
    Octets plain;
    Octets mac = Octets(kMacSize);
    explicit Message(const Octets& octets) : padded(octets.size() + 2 * kJobSlack), plain(octets) {
        std::ranges::copy(octets, padded.begin() + kJobSlack);
    }
    MacJob job(const HmacKey* key) {
        return {key, padded.data() + kJobSlack, static_cast<uint32_t>(plain.size()), mac.data()};
    }
};

TEST(MacEngine, Rfc4231) {
    for (const EngineMaker make : makers()) EXPECT_TRUE(gives_known_answers(*make())) << make()->name();
}

TEST(MacEngine, EveryLength) {
    std::mt19937_64 random(5);
    const Octets key = random_octets(random, 32);
    HmacKey states;
    set_hmac_key(&states, bytes_of(key));
    std::vector<size_t> sizes;
    for (size_t size = 1; size <= 1000; ++size) sizes.push_back(size);
    for (size_t size = 1024; size <= kLongestJob; size += 64) {
        for (const size_t off : {size_t{0}, size_t{9}, size_t{10}}) sizes.push_back(size - off);
    }
    for (const EngineMaker make : makers()) {
        const std::unique_ptr<MacEngine> engine = make();
        for (size_t at = 0; at < sizes.size();) {
            std::vector<Message> messages;
            for (; at < sizes.size() && messages.size() < kMostJobs; ++at)
                messages.emplace_back(random_octets(random, sizes[at]));
            std::vector<MacJob> jobs;
            for (Message& message : messages) jobs.push_back(message.job(&states));
            engine->run(jobs);
            for (const Message& message : messages)
                ASSERT_EQ(message.mac, plain_hmac(key, message.plain))
                    << engine->name() << ", " << message.plain.size() << " bytes";
        }
    }
}

// One that answers wrong, and one that is not there, give way to the next.
TEST(MacEngine, AnswersHaveToBeKnown) {
    class Liar : public MacEngine {
      public:
        [[nodiscard]] std::string name() const override { return "liar"; }
        void run(std::span<const MacJob> jobs) override {
            make_openssl_engine()->run(jobs);
            jobs.back().mac[31] ^= 1;
        }
    };
    constexpr EngineMaker kLiar = [] { return std::unique_ptr<MacEngine>(std::make_unique<Liar>()); };
    constexpr EngineMaker kMissing = [] { return std::unique_ptr<MacEngine>(); };
    EXPECT_EQ(choose_engine(std::vector{kLiar, kMissing, EngineMaker{make_openssl_engine}, kLiar}), 2U);
    try {
        (void)choose_engine(std::vector{kMissing, kLiar});
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.message, "no implementation of HMAC-SHA256 gives known answers");
    }
}

TEST(MacEngine, IsNamed) {
    Error error{};
    const std::string name = mac_engine(&error);
    EXPECT_EQ(name, make_mac_engine()->name());
    EXPECT_EQ(make_ipsec_mb_engine() != nullptr, name.starts_with("intel-ipsec-mb ")) << name;
    EXPECT_TRUE(make_openssl_engine()->name().starts_with("OpenSSL "));
}

struct Sealed {
    EntryKind kind;
    int64_t seq;
    Octets prev;
    Octets body;
    Octets stored;
    MacVerdict verdict;
};

Sealed sealed(const ChainReading& reading, std::mt19937_64& random, int64_t seq, size_t size) {
    Sealed entry = {seq % 3 == 0 ? EntryKind::record : EntryKind::row,
                    seq,
                    random_octets(random, kMacSize),
                    random_octets(random, size),
                    Octets(kMacSize),
                    MacVerdict::valid};
    Error error{};
    const Status status =
        chain_mac(&reading, entry.kind, seq, entry.prev.data(), bytes_of(entry.body), entry.stored.data(), &error);
    if (status != Status::ok) entry.verdict = seq < 0 ? MacVerdict::wrong : MacVerdict::no_key;
    return entry;
}

// Something of it is another than when it was sealed.
void tamper(Sealed* entry, std::mt19937_64& random) {
    if (entry->verdict == MacVerdict::valid) entry->verdict = MacVerdict::wrong;
    const size_t bit = random() % 8;
    switch (random() % 5) {
        case 0:
            entry->stored[random() % kMacSize] ^= static_cast<unsigned char>(1U << bit);
            break;
        case 1:
            entry->prev[random() % kMacSize] ^= static_cast<unsigned char>(1U << bit);
            break;
        case 2:
            entry->body.push_back(0);
            break;
        case 3:
            entry->kind = entry->kind == EntryKind::row ? EntryKind::record : EntryKind::row;
            break;
        default:
            entry->seq ^= 1;
    }
}

TEST(MacBatch, AnyOrderAndLengthWithWrongOnesAmongThem) {
    const ChainReading reading = reading_of(kTwoKeysAndNone);
    for (const EngineMaker make : makers()) {
        std::mt19937_64 random(6);
        std::vector<Sealed> entries;
        for (int64_t seq = 0; seq < 4500; ++seq) {
            const size_t size = seq % 500 == 7 ? 15'000 + random() % 5'000 : random() % 700;
            entries.push_back(sealed(reading, random, seq, size));
            if (random() % 10 == 0) tamper(&entries.back(), random);
        }
        entries.push_back(sealed(reading, random, 5, size_t{1} << 20));
        entries.push_back(sealed(reading, random, 6, size_t{1} << 20));
        entries.back().body[1'000'000] ^= 1;
        entries.back().verdict = MacVerdict::wrong;
        entries.push_back(sealed(reading, random, -1, 10));
        std::ranges::shuffle(entries, random);
        MacBatch batch(reading, make());
        std::map<uint64_t, MacResult> results;
        const auto take = [&] {
            for (const MacResult& result : batch.results()) {
                EXPECT_TRUE(results.emplace(result.cookie, result).second);
            }
            batch.clear_results();
        };
        for (size_t i = 0; i < entries.size(); ++i) {
            Sealed entry = entries[i];  // gone when submit() returns
            batch.submit(entry.kind, entry.seq, entry.prev.data(), bytes_of(entry.body), entry.stored.data(),
                         0xfeed'0000'0000'0000 + i);
            if (random() % 50 == 0) take();
        }
        batch.finish();
        batch.finish();
        take();
        ASSERT_EQ(results.size(), entries.size());
        for (size_t i = 0; i < entries.size(); ++i) {
            const MacResult& result = results.at(0xfeed'0000'0000'0000 + i);
            ASSERT_EQ(result.seq, entries[i].seq);
            ASSERT_EQ(result.verdict, entries[i].verdict) << make()->name() << ", seq " << result.seq;
        }
    }
}

// The longest that the engine takes, and one byte more; and messages that fill the memory to the last byte.
TEST(MacBatch, AtTheEdgesOfItsMemory) {
    const ChainReading reading = reading_of(R"({"from": 0, "key": "a", "columns": []})");
    for (const EngineMaker make : makers()) {
        std::mt19937_64 random(7);
        MacBatch batch(reading, make());
        size_t count = 0;
        std::vector<size_t> sizes = {0, kLongestJob - kEntryHeader + 1};
        for (size_t less = 0; less <= 40; ++less) sizes.push_back(kLongestJob - kEntryHeader - less);
        for (const size_t size : sizes) {
            for (int64_t seq = 0; seq < (size == 0 ? 300 : 9); ++seq, ++count) {
                const Sealed entry = sealed(reading, random, seq, size);
                batch.submit(entry.kind, seq, entry.prev.data(), bytes_of(entry.body), entry.stored.data(), 0);
            }
        }
        batch.finish();
        EXPECT_EQ(batch.results().size(), count);
        EXPECT_TRUE(std::ranges::all_of(
            batch.results(), [](const MacResult& result) { return result.verdict == MacVerdict::valid; }));
    }
}

}  // namespace
}  // namespace raxx
