// How many entries a second are verified on one core, by each engine and by length of their bodies; the copy into
// the engine's memory and the comparison are in it. Never a test: cmake --build build --target bench_macs &&
// build/bench_macs
#include <benchmark/benchmark.h>

#include <cstring>

#include "core/mac_batch.h"

namespace raxx {
namespace {

constexpr size_t kEntries = 1024;

ChainReading reading() {
    const KeyRing ring("chain k " + std::string(64, '7'));
    return {&ring, parse_chain_description(R"({"chain": "00112233-4455-6677-8899-aabbccddeeff",
        "epochs": [{"from": 0, "key": "k", "columns": []}]})")};
}

// spread: bodies are from half as long to one and a half times as long.
void verify(benchmark::State& state, EngineMaker make, bool spread) {
    const ChainReading chain = reading();
    std::unique_ptr<MacEngine> engine = make();
    if (engine == nullptr) {
        state.SkipWithError("not on this machine");
        return;
    }
    state.SetLabel(engine->name());
    MacBatch batch(chain, std::move(engine));
    const auto message_size = static_cast<uint32_t>(state.range(0));
    const std::vector<unsigned char> bodies(size_t{2} * message_size, 0x5a);
    const std::vector<unsigned char> prev(kMacSize, 1);
    std::vector<uint32_t> sizes;
    for (uint32_t i = 0; i < kEntries; ++i) {
        const uint32_t size = spread ? message_size / 2 + i * 7919 % message_size : message_size;
        sizes.push_back(std::max<uint32_t>(size, kEntryHeader) - kEntryHeader);
    }
    std::vector<unsigned char> macs(kEntries * kMacSize);
    Error error;
    for (size_t i = 0; i < kEntries; ++i) {
        (void)chain_mac(&chain, EntryKind::row, static_cast<int64_t>(i), prev.data(), {bodies.data(), sizes[i]},
                        macs.data() + i * kMacSize, &error);
    }
    int64_t valid = 0;
    for (auto _ : state) {
        for (size_t i = 0; i < kEntries; ++i) {
            batch.submit(EntryKind::row, static_cast<int64_t>(i), prev.data(), {bodies.data(), sizes[i]},
                         macs.data() + i * kMacSize, i);
        }
        batch.finish();
        for (const MacResult& result : batch.results()) valid += result.verdict == MacVerdict::valid ? 1 : 0;
        batch.clear_results();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kEntries));
    if (valid != state.iterations() * static_cast<int64_t>(kEntries)) state.SkipWithError("a MAC is wrong");
}

void one_by_one(benchmark::State& state) {
    const ChainReading chain = reading();
    const std::vector<unsigned char> body(static_cast<size_t>(state.range(0)) - kEntryHeader, 0x5a);
    unsigned char mac[kMacSize] = {};
    Error error;
    for (auto _ : state) {
        (void)chain_mac(&chain, EntryKind::row, 1, mac, {body.data(), static_cast<uint32_t>(body.size())}, mac,
                        &error);
    }
    state.SetItemsProcessed(state.iterations());
}

BENCHMARK_CAPTURE(verify, ipsec_mb, make_ipsec_mb_engine, false)
    ->Arg(64)
    ->Arg(256)
    ->Arg(1024)
    ->Arg(8192)
    ->Arg(1 << 20);
BENCHMARK_CAPTURE(verify, ipsec_mb_spread, make_ipsec_mb_engine, true)->Arg(256)->Arg(1024);
BENCHMARK_CAPTURE(verify, openssl, make_openssl_engine, false)
    ->Arg(64)
    ->Arg(256)
    ->Arg(1024)
    ->Arg(8192)
    ->Arg(1 << 20);
BENCHMARK(one_by_one)->Arg(256);

}  // namespace
}  // namespace raxx

BENCHMARK_MAIN();
