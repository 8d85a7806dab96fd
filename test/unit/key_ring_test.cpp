// Key rings: what is read, and that what is refused says where and why without a byte of what it read.
#include "core/key_ring.h"

#include <gtest/gtest.h>

#include <set>

#include "mac_cases.h"

namespace raxx {
namespace {

const std::string kKey = "00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f";

std::string error_of(const std::string& text) {
    Error error{};
    KeyRing* ring = key_ring_create(bytes_of(text), &error);
    if (ring != nullptr) {
        key_ring_free(ring);
        return "none";
    }
    EXPECT_STREQ(error.sqlstate, "F0000");
    return std::string(error.message) + "|" + error.detail + "|" + error.hint;
}

std::string detail_of(const std::string& text) {
    const std::string error = error_of(text);
    const size_t begin = error.find('|') + 1;
    return error.substr(begin, error.find('|', begin) - begin);
}

TEST(KeyRing, IsRead) {
    const std::string text = "# the keys of 2026\r\n\n chain k1\t" + kKey + "\r\n" + "chain K2/a:b_c.d-e " + kKey +
                             kKey + "\ncheckpoint c1 " + kKey + " \n  # no more\ncheckpoint-public c0 " + kKey;
    Error error{};
    KeyRing* ring = key_ring_create(bytes_of(text), &error);
    ASSERT_NE(ring, nullptr) << error.detail;
    ASSERT_EQ(key_ring_size(ring), 4U);
    EXPECT_STREQ(key_ring_name(ring, 0).id, "k1");
    EXPECT_EQ(key_ring_name(ring, 0).kind, KeyKind::chain);
    EXPECT_STREQ(key_ring_name(ring, 1).id, "K2/a:b_c.d-e");
    EXPECT_EQ(key_ring_name(ring, 2).kind, KeyKind::checkpoint);
    EXPECT_EQ(key_ring_name(ring, 3).kind, KeyKind::checkpoint_public);
    const Bytes long_one = ring->bytes(*ring->find("K2/a:b_c.d-e"));
    EXPECT_EQ(hex(long_one.data, long_one.size), kKey + kKey);
    const Bytes last = ring->bytes(ring->keys()[3]);
    EXPECT_EQ(hex(last.data, last.size), kKey);
    EXPECT_EQ(ring->find("k2"), nullptr);
    EXPECT_EQ(ring->last(KeyKind::checkpoint)->id, "c1");
    key_ring_free(ring);
}

TEST(KeyRing, UpperCaseDigits) {
    const KeyRing ring("chain k AABBCCDDEEFF" + kKey.substr(12));
    EXPECT_EQ(hex(ring.bytes(ring.keys()[0]).data, 6), "aabbccddeeff");
}

TEST(KeyRing, RefusesAndSaysWhere) {
    EXPECT_EQ(detail_of("secret k " + kKey),
              "Line 1: it does not begin with chain, checkpoint or checkpoint-public.");
    EXPECT_EQ(detail_of("#\n\nchain k"), "Line 3: it has less than three words.");
    EXPECT_EQ(detail_of("chain"), "Line 1: it has less than three words.");
    EXPECT_EQ(detail_of("chain k " + kKey + " #"), "Line 1: it has more than three words.");
    EXPECT_EQ(detail_of("chain k\xc3\xb6 " + kKey),
              "Line 1: the id is not 1 to 64 letters, digits and any of . _ : / -.");
    EXPECT_EQ(detail_of("chain " + std::string(65, 'k') + " " + kKey),
              "Line 1: the id is not 1 to 64 letters, digits and any of . _ : / -.");
    EXPECT_EQ(detail_of("chain k " + kKey + "\ncheckpoint k " + kKey), "Line 2: an earlier line has the same id.");
    EXPECT_EQ(detail_of("chain k x" + kKey.substr(1)), "Line 1: the third word is not hexadecimal.");
    EXPECT_EQ(detail_of("chain k " + kKey + "0"), "Line 1: the number of hexadecimal digits is odd.");
    EXPECT_EQ(detail_of("chain k " + kKey.substr(2)), "Line 1: the key is too short.");
    EXPECT_EQ(detail_of("chain k " + kKey + kKey + "00"), "Line 1: the key is too long.");
    EXPECT_EQ(detail_of("checkpoint k " + kKey + "00"), "Line 1: the key is too long.");
    EXPECT_EQ(detail_of("checkpoint-public k " + kKey.substr(2)), "Line 1: the key is too short.");
    EXPECT_EQ(detail_of("\n# nothing\n"), "It is empty, or has nothing but comments.");
    EXPECT_EQ(detail_of(""), "It is empty, or has nothing but comments.");
    EXPECT_EQ(detail_of(std::string(1, '\0') + "chain k " + kKey),
              "Line 1: it does not begin with chain, checkpoint or checkpoint-public.");
    EXPECT_EQ(detail_of("#" + std::string(size_t{1} << 20, ' ')), "It is longer than 1 MB.");
}

TEST(KeyRing, HoldsAThousandKeys) {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "chain k" + std::to_string(i) + " " + kKey + "\n";
    EXPECT_EQ(error_of(text), "none");
    EXPECT_EQ(detail_of(text + "chain one-more " + kKey), "Line 1001: there are more than 1000 keys.");
}

// A line whose words are exchanged, doubled, cut or garbled: its error is one of a few sentences, whatever it
// holds.
TEST(KeyRing, ErrorsHoldNothingOfTheText) {
    std::mt19937_64 random(3);
    const std::string id = "Zq7.Wx-9y";
    const std::vector<std::string> lines = {
        id + " chain " + kKey,
        "chain " + kKey + " " + id,
        kKey,
        "chain " + kKey,
        "checkpoint " + id + " " + kKey + kKey,
        "chain " + id + " " + kKey + " " + kKey,
        "chain " + id + " " + kKey.substr(0, 40),
        "chain " + id + " " + kKey + kKey + kKey,
        "chain " + id + " " + kKey.substr(0, 63) + "g",
        kKey + kKey + kKey + kKey,
    };
    std::set<std::string> known;
    for (const char* what :
         {"it does not begin with chain, checkpoint or checkpoint-public", "it has less than three words",
          "it has more than three words", "the id is not 1 to 64 letters, digits and any of . _ : / -",
          "the third word is not hexadecimal", "the number of hexadecimal digits is odd", "the key is too short",
          "the key is too long"}) {
        for (const char* line : {"1", "2"}) {
            known.insert(
                "the key ring cannot be read|Line " + std::string(line) + ": " + what +
                ".|A line is KIND ID HEX: chain with 32 to 64 bytes, checkpoint or checkpoint-public with 32, "
                "in hexadecimal.");
        }
    }
    known.insert(
        "the key ring holds no key|It is empty, or has nothing but comments.|Give it a line: chain ID HEX.");
    size_t refused = 0;
    for (const std::string& line : lines) {
        for (int round = 0; round < 200; ++round) {
            std::string garbled = line;
            if (round > 0) garbled[random() % garbled.size()] = static_cast<char>(random());
            const std::string error = error_of(garbled);
            if (error == "none") continue;
            ++refused;
            ASSERT_TRUE(known.contains(error)) << error;
        }
    }
    EXPECT_GT(refused, lines.size() * 190);
}

}  // namespace
}  // namespace raxx
