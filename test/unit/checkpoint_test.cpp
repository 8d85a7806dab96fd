// Checkpoints: Ed25519 by RFC 8032, what a line looks like, and that no other line is taken for one.
#include "core/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "mac_cases.h"

namespace raxx {
namespace {

struct Rfc8032 {
    std::string seed;
    std::string public_key;
    std::string message;
    std::string signature;
};

// Tests 1 to 3 of RFC 8032, 7.1.
const std::vector<Rfc8032> kRfc8032 = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bb"
     "e24"
     "655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302"
     "aee"
     "b00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed"
     "28d"
     "c027beceea1ec40a"},
};

TEST(Ed25519, Rfc8032) {
    for (const Rfc8032& expected : kRfc8032) {
        const Octets seed = from_hex(expected.seed);
        const Octets message = from_hex(expected.message);
        const std::string text(message.begin(), message.end());
        Octets public_key(32);
        Octets signature(64);
        ed25519_public_key(bytes_of(seed), public_key.data());
        ed25519_sign(bytes_of(seed), text, signature.data());
        EXPECT_EQ(to_hex(public_key), expected.public_key);
        EXPECT_EQ(to_hex(signature), expected.signature);
        EXPECT_TRUE(ed25519_verify(bytes_of(public_key), text, signature.data()));
        EXPECT_FALSE(ed25519_verify(bytes_of(public_key), text + "x", signature.data()));
        for (size_t i = 0; i < signature.size(); i += 7) {
            Octets forged = signature;
            forged[i] ^= 4;
            EXPECT_FALSE(ed25519_verify(bytes_of(public_key), text, forged.data()));
        }
    }
}

KeyRing full_ring() {
    return KeyRing("checkpoint old " + kRfc8032[1].seed + "\ncheckpoint new " + kRfc8032[0].seed + "\nchain k1 " +
                   kRfc8032[0].seed + "\ncheckpoint-public abroad " + kRfc8032[2].public_key);
}

Checkpoint fields(const std::string& key_id = "") {
    Checkpoint checkpoint = {};
    for (unsigned char i = 0; i < kChainIdSize; ++i) checkpoint.chain[i] = static_cast<unsigned char>(i * 17);
    for (unsigned char i = 0; i < kMacSize; ++i) checkpoint.mac[i] = i;
    checkpoint.number = 12;
    checkpoint.seq = 9007199254740993;
    checkpoint.made_at = 849355200000000;
    std::ranges::copy(key_id, checkpoint.key_id);
    return checkpoint;
}

const std::string kText =
    "raxx-checkpoint 1 00112233-4455-6677-8899-aabbccddeeff 12 9007199254740993 "
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 2026-11-30T12:00:00.000000Z new";

std::string sign(const Checkpoint& checkpoint) { return sign_checkpoint(full_ring(), checkpoint); }

// Anybody who keeps checkpoints relies on this line.
TEST(Checkpoint, IsALine) {
    const std::string line = sign(fields());
    EXPECT_EQ(line,
              kText + " N1yUTRyeRlgMv2UiURWDscJWL3R7p+HN2m+FyIvxJoWJI1MwqPVCkJbGzNdOdm7nMq5Bbtuq1GYTFzAvM+wODw==");
    EXPECT_EQ(line, sign(fields("new")));
    EXPECT_EQ(verify_checkpoint(full_ring(), line), CheckpointVerdict::valid);
}

TEST(Checkpoint, IsReadAsItWasWritten) {
    SignedCheckpoint read = {};
    Checkpoint expected = fields("old");
    for (const Time time : {Time{0}, Time{-1}, Time{1}, fields().made_at + 123456, Time{-63'082'281'600'000'000},
                            Time{252'455'615'999'999'999}}) {
        for (const int64_t number : {int64_t{0}, int64_t{INT64_MAX}}) {
            expected.made_at = time;
            expected.number = number;
            expected.seq = number;
            ASSERT_TRUE(parse_checkpoint(sign(expected), &read)) << sign(expected);
            EXPECT_EQ(std::memcmp(read.fields.chain, expected.chain, kChainIdSize), 0);
            EXPECT_EQ(std::memcmp(read.fields.mac, expected.mac, kMacSize), 0);
            EXPECT_EQ(read.fields.number, number);
            EXPECT_EQ(read.fields.seq, number);
            EXPECT_EQ(read.fields.made_at, time);
            EXPECT_STREQ(read.fields.key_id, "old");
        }
    }
}

TEST(Checkpoint, IsVerifiedByThePublicKeyAlone) {
    const std::string line = sign(fields("new"));
    const auto verdict = [&](const std::string& ring) { return verify_checkpoint(KeyRing(ring), line); };
    EXPECT_EQ(verdict("checkpoint-public new " + kRfc8032[0].public_key), CheckpointVerdict::valid);
    EXPECT_EQ(verdict("checkpoint-public new " + kRfc8032[1].public_key), CheckpointVerdict::invalid);
    EXPECT_EQ(verdict("checkpoint new " + kRfc8032[1].seed), CheckpointVerdict::invalid);
    EXPECT_EQ(verdict("checkpoint-public old " + kRfc8032[0].public_key), CheckpointVerdict::unknown_key);
    EXPECT_EQ(verdict("chain new " + kRfc8032[0].seed), CheckpointVerdict::unknown_key);
    // No point of the curve.
    EXPECT_EQ(verdict("checkpoint-public new " + std::string(62, 'f') + "7f"), CheckpointVerdict::invalid);
}

TEST(Checkpoint, NothingInItCanBeChanged) {
    const KeyRing ring = full_ring();
    const std::string line = sign(fields());
    std::mt19937_64 random(8);
    for (size_t at = 0; at < line.size(); ++at) {
        for (const char other : {'0', '1', 'a', 'A', ' ', '/', '\0', static_cast<char>(random())}) {
            if (line[at] == other) continue;
            std::string changed = line;
            changed[at] = other;
            EXPECT_NE(verify_checkpoint(ring, changed), CheckpointVerdict::valid) << changed;
        }
        EXPECT_NE(verify_checkpoint(ring, line.substr(0, at)), CheckpointVerdict::valid);
    }
}

TEST(Checkpoint, OtherFormsAreNone) {
    const KeyRing ring = full_ring();
    const std::string line = sign(fields());
    const auto replaced = [&](const std::string& what, const std::string& by) {
        std::string changed = line;
        changed.replace(changed.find(what), what.size(), by);
        return verify_checkpoint(ring, changed);
    };
    EXPECT_EQ(verify_checkpoint(ring, line + "\n"), CheckpointVerdict::malformed);
    EXPECT_EQ(verify_checkpoint(ring, " " + line), CheckpointVerdict::malformed);
    EXPECT_EQ(verify_checkpoint(ring, ""), CheckpointVerdict::malformed);
    EXPECT_EQ(verify_checkpoint(ring, std::string(1'000'000, ' ')), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced("checkpoint 1", "checkpoint 2"), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced(" 12 ", " 012 "), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced(" 12 ", " -12 "), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced(" 12 ", " +12 "), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced(" 12 ", "  12 "), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced(" 12 ", " 9223372036854775808 "), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced("aabbcc", "AABBCC"), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced("2026-11-30", "2026-11-31"), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced("T12:", "T24:"), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced("T12:00:00", "T11:59:60"), CheckpointVerdict::malformed);
    EXPECT_EQ(replaced("==",
                       "=="
                       "="),
              CheckpointVerdict::malformed);
    EXPECT_EQ(replaced(" 12 ", " 13 "), CheckpointVerdict::invalid);
    EXPECT_EQ(replaced(" new ", " old "), CheckpointVerdict::invalid);
    EXPECT_EQ(replaced(" new ", " gone "), CheckpointVerdict::unknown_key);
}

std::string refusal(const KeyRing& ring, const Checkpoint& checkpoint) {
    Error error{};
    char line[kCheckpointLimit];
    if (checkpoint_sign(&ring, checkpoint, line, &error) == Status::ok) return "none";
    return std::string(error.sqlstate) + " " + error.message;
}

TEST(Checkpoint, WhatCannotBeSigned) {
    const KeyRing ring = full_ring();
    EXPECT_EQ(refusal(ring, fields()), "none");
    EXPECT_EQ(refusal(ring, fields("gone")), "42704 checkpoint key \"gone\" is not in the key ring");
    EXPECT_EQ(refusal(ring, fields("abroad")), "42704 checkpoint key \"abroad\" is not in the key ring");
    EXPECT_EQ(refusal(ring, fields("k1")), "42704 checkpoint key \"k1\" is not in the key ring");
    EXPECT_EQ(refusal(KeyRing("chain k1 " + kRfc8032[0].seed), fields()),
              "42704 the key ring has no checkpoint key");
    Checkpoint checkpoint = fields();
    checkpoint.seq = -1;
    EXPECT_EQ(refusal(ring, checkpoint), "22023 number and seq of a checkpoint must not be negative");
    for (const Time time :
         {kInfinity, kMinusInfinity, Time{252'455'616'000'000'000}, Time{-63'082'281'600'000'001}}) {
        checkpoint = fields();
        checkpoint.made_at = time;
        EXPECT_EQ(refusal(ring, checkpoint), "22023 the time of a checkpoint is out of range");
    }
}

TEST(Checkpoint, TheLongestFits) {
    const std::string id(64, 'k');
    const KeyRing ring("checkpoint " + id + " " + kRfc8032[0].seed);
    Checkpoint checkpoint = fields();
    checkpoint.number = INT64_MAX;
    checkpoint.seq = INT64_MAX;
    Error error{};
    char line[kCheckpointLimit];
    ASSERT_EQ(checkpoint_sign(&ring, checkpoint, line, &error), Status::ok);
    CheckpointVerdict verdict = CheckpointVerdict::invalid;
    ASSERT_EQ(checkpoint_verify(&ring, bytes_of(std::string_view(line)), &verdict, &error), Status::ok);
    EXPECT_EQ(verdict, CheckpointVerdict::valid);
    ASSERT_EQ(checkpoint_parse(bytes_of(std::string_view(line)), &checkpoint, &error), Status::ok);
    EXPECT_EQ(checkpoint.key_id, id);
    EXPECT_EQ(checkpoint_parse(bytes_of("raxx-checkpoint 1"), &checkpoint, &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "22P02");
}

}  // namespace
}  // namespace raxx
