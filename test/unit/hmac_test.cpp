// HMAC-SHA256 of one message: RFC 4231, Wycheproof, and every length beside OpenSSL's own function.
#include "core/hmac.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/secret.h"
#include "mac_cases.h"

namespace raxx {
namespace {

Octets hmac_of(const Octets& key, const Octets& message) {
    HmacKey states;
    set_hmac_key(&states, bytes_of(key));
    Octets mac(kMacSize);
    hmac(states, {bytes_of(message)}, mac.data());
    return mac;
}

TEST(Hmac, Sha256OfNothingAndOfAbc) {
    Octets digest(kMacSize);
    sha256({nullptr, 0}, digest.data());
    EXPECT_EQ(to_hex(digest), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256(bytes_of("abc"), digest.data());
    EXPECT_EQ(to_hex(digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

struct Rfc4231 {
    Octets key;
    Octets message;
    std::string mac;
};

TEST(Hmac, Rfc4231) {
    const std::vector<Rfc4231> cases = {
        {Octets(20, 0x0b), octets("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {octets("Jefe"), octets("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {Octets(20, 0xaa), Octets(50, 0xdd), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {from_hex("0102030405060708090a0b0c0d0e0f10111213141516171819"), Octets(50, 0xcd),
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {Octets(20, 0x0c), octets("Test With Truncation"), "a3b6167473100ee06e0c796c2955552b"},
        {Octets(131, 0xaa), octets("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {Octets(131, 0xaa),
         octets("This is a test using a larger than block-size key and a larger than block-size data. The key "
                "needs to be hashed before being used by the HMAC algorithm."),
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (const Rfc4231& expected : cases) {
        EXPECT_EQ(to_hex(hmac_of(expected.key, expected.message)).substr(0, expected.mac.size()), expected.mac);
    }
}

TEST(Hmac, EveryLengthOfMessageAndKey) {
    std::mt19937_64 random(1);
    for (size_t size = 0; size <= 1000; ++size) {
        const Octets key = random_octets(random, size % 150);
        const Octets message = random_octets(random, size);
        ASSERT_EQ(hmac_of(key, message), plain_hmac(key, message)) << size;
    }
}

TEST(Hmac, PartsAreOneMessage) {
    std::mt19937_64 random(2);
    const Octets key = random_octets(random, 32);
    const Octets message = random_octets(random, 300);
    HmacKey states;
    set_hmac_key(&states, bytes_of(key));
    for (uint32_t cut = 0; cut <= message.size(); ++cut) {
        Octets mac(kMacSize);
        hmac(states, {{message.data(), cut}, {}, {message.data() + cut, 300 - cut}}, mac.data());
        ASSERT_EQ(mac, plain_hmac(key, message)) << cut;
    }
}

// Tags of 128 bits are the first of 256; of those that are not valid one bit is another.
TEST(Hmac, Wycheproof) {
    const auto path = std::filesystem::path(RAXX_TEST_DIR).parent_path().parent_path() /
                      "shared/data/wycheproof_hmac_sha256.json";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
    const nlohmann::json vectors = nlohmann::json::parse(std::ifstream(path));
    size_t count = 0;
    for (const auto& group : vectors.at("testGroups")) {
        const size_t size = group.at("tagSize").get<size_t>() / 8;
        for (const auto& test : group.at("tests")) {
            const Octets key = from_hex(test.at("key").get<std::string>());
            const Octets message = from_hex(test.at("msg").get<std::string>());
            const Octets tag = from_hex(test.at("tag").get<std::string>());
            const Octets mac = hmac_of(key, message);
            const bool valid = tag.size() == size && equal_secrets(mac.data(), tag.data(), size);
            EXPECT_EQ(valid, test.at("result") == "valid") << test.at("tcId");
            ++count;
        }
    }
    EXPECT_EQ(count, vectors.at("numberOfTests").get<size_t>());
}

TEST(Secrets, AreEqualOrNot) {
    const Octets a(32, 1);
    Octets b = a;
    EXPECT_TRUE(equal_secrets(a.data(), b.data(), 32));
    for (size_t i = 0; i < 32; ++i) {
        b = a;
        b[i] ^= 0x80;
        EXPECT_FALSE(equal_secrets(a.data(), b.data(), 32)) << i;
    }
    EXPECT_TRUE(equal_secrets(a.data(), b.data(), 0));
}

TEST(Secrets, AreZeroAtFirstAndMove) {
    SecretMemory memory(5000);
    EXPECT_EQ(Octets(memory.data(), memory.data() + 5000), Octets(5000, 0));
    memory.data()[4999] = 7;
    SecretMemory other = std::move(memory);
    EXPECT_EQ(other.data()[4999], 7);
    SecretMemory third;
    EXPECT_EQ(third.data(), nullptr);
    third = std::move(other);
    EXPECT_EQ(third.data()[4999], 7);
    EXPECT_EQ(third.size(), 5000U);
    secret_free(nullptr);
    unsigned char* plain = secret_alloc(100);
    ASSERT_NE(plain, nullptr);
    plain[99] = 1;
    secret_free(plain);
    EXPECT_EQ(secret_alloc(SIZE_MAX), nullptr);
}

// VmFlags of /proc/self/smaps: "dd" is left out of dumps, "dc" not copied on fork, "lo" locked.
TEST(Secrets, AreNotDumped) {
    SecretMemory memory(4096);
    std::ostringstream begin;
    begin << std::hex << reinterpret_cast<uintptr_t>(memory.data());
    std::ifstream maps("/proc/self/smaps");
    bool ours = false;
    std::string flags;
    for (std::string line; std::getline(maps, line) && flags.empty();) {
        if (line.find('-') == begin.str().size()) ours = line.starts_with(begin.str());
        if (ours && line.starts_with("VmFlags:")) flags = line;
    }
    if (flags.empty()) GTEST_SKIP() << "no flags in /proc/self/smaps";
    EXPECT_NE(flags.find(" dd"), std::string::npos) << flags;
    EXPECT_NE(flags.find(" dc"), std::string::npos) << flags;
}

}  // namespace
}  // namespace raxx
