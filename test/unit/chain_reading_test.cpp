// Readings of a chain: the derived keys and MACs beside the format's formulas written out, epochs, and hostile
// JSON.
#include "core/chain_reading.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "mac_cases.h"

namespace raxx {
namespace {

constexpr std::string_view kUuid = "00112233-4455-6677-8899-aabbccddeeff";
const std::string kKey1 = std::string(64, '1');
const std::string kKey2 = std::string(128, '2');

KeyRing ring() { return KeyRing("chain k1 " + kKey1 + "\nchain k2 " + kKey2 + "\ncheckpoint c1 " + kKey1); }

const std::string kColumns =
    R"([{"name": "id", "kind": "integer", "at": 0}, {"name": "stra\u00dfe", "kind": "text", "at": 3}])";

std::string chain(const std::string& epochs, std::string_view uuid = kUuid) {
    return R"({"chain": ")" + std::string(uuid) + R"(", "epochs": )" + epochs + "}";
}

const std::string kThreeEpochs = chain(R"([{"from": 0, "key": "k1", "columns": []},
    {"from": 2, "key": "k1", "columns": )" +
                                       kColumns + R"(}, {"from": 7, "key": "k2", "columns": )" + kColumns +
                                       R"(}, {"from": 9, "key": "gone", "columns": []}])");

struct Freed {
    void operator()(ChainReading* reading) const { chain_reading_free(reading); }
};
using Reading = std::unique_ptr<ChainReading, Freed>;

Reading read(const std::string& json) {
    const KeyRing keys = ring();
    Error error{};
    Reading reading(chain_reading_create(&keys, bytes_of(json), &error));
    EXPECT_NE(reading, nullptr) << error.detail;
    return reading;
}

Octets joined(std::initializer_list<Octets> parts) {
    Octets whole;
    for (const Octets& part : parts) whole.insert(whole.end(), part.begin(), part.end());
    return whole;
}

Octets length32(const Octets& of) { return {0, 0, 0, static_cast<unsigned char>(of.size())}; }
Octets counted(std::string_view text) { return joined({length32(octets(text)), octets(text)}); }

Octets sha256_of(const Octets& data) {
    Octets digest(kMacSize);
    sha256(bytes_of(data), digest.data());
    return digest;
}

// As the format has it, step by step.
Octets expected_mac(const std::string& key, const std::string& key_id, const Octets& manifest, unsigned char kind,
                    unsigned char seq, const Octets& prev, const Octets& body) {
    const Octets k = plain_hmac(from_hex(key), joined({octets("raxx_detect chain 1"),
                                                       {0},
                                                       from_hex("00112233445566778899aabbccddeeff"),
                                                       counted(key_id),
                                                       sha256_of(manifest)}));
    return plain_hmac(k, joined({{kind}, {0, 0, 0, 0, 0, 0, 0, seq}, prev, body}));
}

Octets mac_of(const Reading& reading, EntryKind kind, int64_t seq, const Octets& prev, const Octets& body) {
    Octets mac(kMacSize);
    Error error{};
    EXPECT_EQ(chain_mac(reading.get(), kind, seq, prev.data(), bytes_of(body), mac.data(), &error), Status::ok)
        << error.message;
    return mac;
}

TEST(ChainReading, MacsAreAsTheFormatSays) {
    const Reading reading = read(kThreeEpochs);
    const Octets zeros(kMacSize);
    const Octets prev(kMacSize, 0xab);
    const Octets body = octets("{\"event\": \"genesis\"}");
    const Octets manifest = joined({counted("id"), counted("integer"),
                                    counted("stra\xc3\x9f"
                                            "e"),
                                    counted("text")});
    EXPECT_EQ(mac_of(reading, EntryKind::record, 0, zeros, body), expected_mac(kKey1, "k1", {}, 2, 0, zeros, body));
    EXPECT_EQ(mac_of(reading, EntryKind::record, 1, prev, body), expected_mac(kKey1, "k1", {}, 2, 1, prev, body));
    EXPECT_EQ(mac_of(reading, EntryKind::row, 2, prev, body),
              expected_mac(kKey1, "k1", manifest, 1, 2, prev, body));
    EXPECT_EQ(mac_of(reading, EntryKind::row, 6, prev, {}), expected_mac(kKey1, "k1", manifest, 1, 6, prev, {}));
    EXPECT_EQ(mac_of(reading, EntryKind::row, 7, prev, body),
              expected_mac(kKey2, "k2", manifest, 1, 7, prev, body));
}

// Nobody may change this: chains that are sealed would all break. Computed with Python's hmac and hashlib.
TEST(ChainReading, GoldenMac) {
    const Reading reading = read(kThreeEpochs);
    EXPECT_EQ(to_hex(mac_of(reading, EntryKind::row, 2, Octets(kMacSize, 0xab), octets("body"))),
              "be1cc000186e8633a713ccbe4be1c3e2db32ac2edebe0ce7ff37c605ceccde1e");
}

TEST(ChainReading, EpochsAndColumns) {
    const Reading reading = read(kThreeEpochs);
    ASSERT_EQ(chain_reading_epochs(reading.get()), 4U);
    const std::vector<std::pair<int64_t, uint32_t>> expected = {{-1, 0}, {0, 0}, {1, 0}, {2, 1},        {6, 1},
                                                                {7, 2},  {8, 2}, {9, 3}, {INT64_MAX, 3}};
    for (const auto& [seq, epoch] : expected) EXPECT_EQ(chain_reading_epoch_of(reading.get(), seq), epoch) << seq;
    EXPECT_EQ(chain_reading_columns(reading.get(), 0).count, 0U);
    const EpochColumns columns = chain_reading_columns(reading.get(), 1);
    ASSERT_EQ(columns.count, 2U);
    EXPECT_EQ(columns.at[1], 3U);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(columns.kinds[0].data), columns.kinds[0].size), "integer");
    EXPECT_STREQ(chain_reading_key_id(reading.get(), 3), "gone");
}

TEST(ChainReading, WithoutAKeyNothingIsComputed) {
    const Reading reading = read(kThreeEpochs);
    EXPECT_TRUE(chain_reading_has_key(reading.get(), 2));
    EXPECT_FALSE(chain_reading_has_key(reading.get(), 3));
    Octets mac(kMacSize, 0x55);
    Error error{};
    const Octets prev(kMacSize);
    EXPECT_EQ(chain_mac(reading.get(), EntryKind::row, 9, prev.data(), {}, mac.data(), &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "42704");
    EXPECT_STREQ(error.message, "chain key \"gone\" is not in the key ring");
    EXPECT_EQ(mac, Octets(kMacSize, 0x55));
    EXPECT_EQ(chain_mac(reading.get(), EntryKind::row, -1, prev.data(), {}, mac.data(), &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "22023");

    // A key of another kind is none, and a ring may be missing altogether.
    const std::string other = chain(R"([{"from": 0, "key": "c1", "columns": []}])");
    EXPECT_FALSE(chain_reading_has_key(read(other).get(), 0));
    Reading bare(chain_reading_create(nullptr, bytes_of(kThreeEpochs), &error));
    ASSERT_NE(bare, nullptr);
    EXPECT_FALSE(chain_reading_has_key(bare.get(), 0));
}

// What must not be the same key: another chain, key id or manifest; and columns whose names and kinds run together.
TEST(ChainReading, KeysAreOneToTheirContext) {
    const auto mac = [](const std::string& json) {
        return to_hex(mac_of(read(json), EntryKind::row, 0, Octets(kMacSize), octets("x")));
    };
    const auto with = [](const std::string& columns) {
        return chain(R"([{"from": 0, "key": "k1", "columns": )" + columns + "}]");
    };
    std::vector<std::string> macs = {
        mac(with("[]")),
        mac(chain(R"([{"from": 0, "key": "k1", "columns": []}])", "00112233-4455-6677-8899-aabbccddeefe")),
        mac(with(R"([{"name": "a", "kind": "text", "at": 0}])")),
        mac(with(R"([{"name": "b", "kind": "text", "at": 0}])")),
        mac(with(R"([{"name": "at", "kind": "ext", "at": 0}])")),
        mac(with(R"([{"name": "a", "kind": "text", "at": 0}, {"name": "b", "kind": "text", "at": 1}])")),
        mac(with(R"([{"name": "b", "kind": "text", "at": 0}, {"name": "a", "kind": "text", "at": 1}])")),
    };
    std::ranges::sort(macs);
    EXPECT_EQ(std::ranges::adjacent_find(macs), macs.end());
    // Where the values come from is nobody's business but the reader's.
    EXPECT_EQ(mac(with(R"([{"name": "a", "kind": "text", "at": 0}])")),
              mac(with(R"([{"kind": "text", "name": "a", "at": 9}])")));
    // Same bytes, other id.
    const KeyRing twins("chain k1 " + kKey1 + "\nchain k2 " + kKey1);
    Error error{};
    std::array<Octets, 2> of = {Octets(kMacSize), Octets(kMacSize)};
    for (size_t i = 0; i < 2; ++i) {
        const std::string json =
            chain(R"([{"from": 0, "key": "k)" + std::to_string(i + 1) + R"(", "columns": []}])");
        const Reading reading(chain_reading_create(&twins, bytes_of(json), &error));
        EXPECT_EQ(chain_mac(reading.get(), EntryKind::row, 0, Octets(kMacSize).data(), {}, of[i].data(), &error),
                  Status::ok);
    }
    EXPECT_NE(of[0], of[1]);
}

std::string refusal(const std::string& json) {
    const KeyRing keys = ring();
    Error error{};
    const Reading reading(chain_reading_create(&keys, bytes_of(json), &error));
    if (reading != nullptr) return "none";
    EXPECT_STREQ(error.sqlstate, "22023");
    EXPECT_STREQ(error.message, "the description of the chain is not valid");
    return error.detail;
}

std::string column(const std::string& fields) {
    return chain(R"([{"from": 0, "key": "k1", "columns": [{)" + fields + "}]}]");
}

TEST(ChainReading, RefusesWhatIsNotAsItShouldBe) {
    EXPECT_EQ(refusal(""), "It is not JSON at byte 1.");
    EXPECT_EQ(refusal("{\"chain\": \"\xff\"}"), "It is not JSON at byte 12.");
    EXPECT_EQ(refusal(chain("[]") + "x"), "It is not JSON at byte 64.");
    EXPECT_EQ(refusal("[]"), "The whole is not an object.");
    EXPECT_EQ(refusal("{}"), "The whole has no \"chain\".");
    EXPECT_EQ(refusal(R"({"chain": 1, "epochs": [], "more": 1})"), "The whole has a key that is not known.");
    EXPECT_EQ(refusal(R"({"chain": 1, "epochs": []})"), "The chain is not a UUID.");
    EXPECT_EQ(refusal(chain("[]", "00112233445566778899aabbccddeeff")), "The chain is not a UUID.");
    EXPECT_EQ(refusal(chain("[]", "00112233-4455-6677-8899-aabbccddeefg")), "The chain is not a UUID.");
    EXPECT_EQ(refusal(chain("{}")), "\"epochs\" is not an array.");
    EXPECT_EQ(refusal(chain("[]")), "It has no epoch.");
    EXPECT_EQ(refusal(chain("[3]")), "Epoch 1 is not an object.");
    EXPECT_EQ(refusal(chain(R"([{"from": 1, "key": "k1", "columns": []}])")),
              "Epochs ascend, from 0 on; epoch 1 does not.");
    EXPECT_EQ(
        refusal(chain(R"([{"from": 0, "key": "k1", "columns": []}, {"from": 0, "key": "k1", "columns": []}])")),
        "Epochs ascend, from 0 on; epoch 2 does not.");
    for (const char* from : {"-1", "0.5", "1e2", "9223372036854775808", "\"0\"", "null"}) {
        EXPECT_EQ(refusal(chain(R"([{"from": )" + std::string(from) + R"(, "key": "k1", "columns": []}])")),
                  "\"from\" of epoch 1 is not a whole number from 0 to 9223372036854775807.")
            << from;
    }
    EXPECT_EQ(refusal(chain(R"([{"from": 0, "key": "k 1", "columns": []}])")),
              "The key of epoch 1 is not a key id.");
    EXPECT_EQ(refusal(chain(R"([{"from": 0, "key": null, "columns": []}])")),
              "The key of epoch 1 is not a string.");
    EXPECT_EQ(refusal(chain(R"([{"from": 0, "key": "k1", "columns": [], "from": 0}])")),
              "An object has the same key twice.");
    EXPECT_EQ(refusal(column(R"("name": "a", "kind": "text")")), "Column 1 of epoch 1 has no \"at\".");
    EXPECT_EQ(refusal(column(R"("name": "a", "kind": "text", "at": 1664)")),
              "\"at\" of column 1 of epoch 1 is not a whole number from 0 to 1663.");
    EXPECT_EQ(refusal(column(R"("name": "a\u0000", "kind": "text", "at": 0)")),
              "The name of column 1 of epoch 1 has a zero in it.");
    EXPECT_EQ(refusal(column(R"("name": "a", "kind": 7, "at": 0)")),
              "The kind of column 1 of epoch 1 is not a string.");
    EXPECT_EQ(refusal(column(R"("name": "a", "kind": "text", "at": 0}, {"name": "a", "kind": "date", "at": 1)")),
              "Column 2 of epoch 1 has the name of an earlier one.");
    EXPECT_EQ(refusal(column(R"("name": {}, "kind": "text", "at": 0)")), "It is nested more than 5 deep.");
    EXPECT_EQ(refusal(chain("[1e999]")), "It holds a number that is out of range.");
}

TEST(ChainReading, HostileTextsAreRefusedSoon) {
    EXPECT_EQ(refusal(std::string(1'000'000, '[')), "It is nested more than 5 deep.");
    EXPECT_EQ(refusal(std::string((size_t{16} << 20) + 1, ' ')), "It is longer than 16 MB.");
    std::string many;
    for (int i = 0; i <= 10'000; ++i) many += i == 0 ? "0" : ",0";
    EXPECT_EQ(refusal(chain("[" + many + "]")), "\"epochs\" has more than 10000 elements.");
    std::mt19937_64 random(4);
    for (int round = 0; round < 2000; ++round) {
        std::string garbled = kThreeEpochs;
        garbled[random() % garbled.size()] = static_cast<char>(random());
        refusal(garbled);
    }
}

}  // namespace
}  // namespace raxx
