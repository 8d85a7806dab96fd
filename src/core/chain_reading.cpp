// The epochs' keys: K = HMAC(key of the ring, label, 0, chain, length and id of the key, manifest digest), so that
// neither a chain, nor a key id, nor a column can be taken for another.
#include "core/chain_reading.h"

#include <algorithm>
#include <iterator>
#include <memory>

namespace raxx {
namespace {

constexpr char kLabel[] = "raxx_detect chain 1";  // its zero belongs to it

Bytes bytes_of(std::string_view text) {
    return {reinterpret_cast<const unsigned char*>(text.data()), static_cast<uint32_t>(text.size())};
}

void append_counted(std::string* to, std::string_view text) {
    for (int shift = 24; shift >= 0; shift -= 8) to->push_back(static_cast<char>(text.size() >> shift));
    to->append(text);
}

void derive(HmacKey* result, Bytes ring_key, const ChainDescription& description, const Epoch& epoch) {
    std::string counted_id;
    append_counted(&counted_id, epoch.key_id);
    unsigned char manifest[kMacSize];
    manifest_digest(epoch.columns, manifest);
    HmacKey key;
    unsigned char derived[kMacSize];
    set_hmac_key(&key, ring_key);
    hmac(key,
         {bytes_of({kLabel, sizeof kLabel}),
          {description.chain, kChainIdSize},
          bytes_of(counted_id),
          {manifest, kMacSize}},
         derived);
    set_hmac_key(result, {derived, kMacSize});
    wipe(&key, sizeof key);
    wipe(derived, sizeof derived);
}

}  // namespace

void write_entry_header(EntryKind kind, int64_t seq, const unsigned char* prev, unsigned char* header) noexcept {
    *header++ = static_cast<unsigned char>(kind);
    for (int shift = 56; shift >= 0; shift -= 8) *header++ = static_cast<unsigned char>(seq >> shift);
    std::copy_n(prev, kMacSize, header);
}

void manifest_digest(const std::vector<SealedColumn>& columns, unsigned char digest[kMacSize]) {
    std::string manifest;
    for (const SealedColumn& column : columns) {
        append_counted(&manifest, column.name);
        append_counted(&manifest, column.kind);
    }
    sha256(bytes_of(manifest), digest);
}

ChainReading::ChainReading(const KeyRing* ring, ChainDescription description)
    : description_(std::move(description)), derived_(description_.epochs.size() * sizeof(HmacKey)) {
    auto* derived = reinterpret_cast<HmacKey*>(derived_.data());
    for (const Epoch& epoch : epochs()) {
        const KeyRing::Key* key = ring == nullptr ? nullptr : ring->find(epoch.key_id);
        const bool known = key != nullptr && key->kind == KeyKind::chain;
        if (known) derive(derived, ring->bytes(*key), description_, epoch);
        keys_.push_back(known ? derived : nullptr);
        ++derived;
        Flat flat;
        for (const SealedColumn& column : epoch.columns) {
            flat.at.push_back(column.at);
            flat.kinds.push_back(bytes_of(column.kind));
        }
        flat_.push_back(std::move(flat));
    }
}

uint32_t ChainReading::epoch_of(int64_t seq) const {
    const auto after = std::ranges::upper_bound(epochs(), seq, {}, &Epoch::from);
    return static_cast<uint32_t>(std::max<std::ptrdiff_t>(std::distance(epochs().begin(), after) - 1, 0));
}

EpochColumns ChainReading::columns(uint32_t epoch) const {
    const Flat& flat = flat_[epoch];
    return {static_cast<uint32_t>(flat.at.size()), flat.at.data(), flat.kinds.data()};
}

ChainReading* chain_reading_create(const KeyRing* ring, Bytes json, Error* error) noexcept {
    ChainReading* reading = nullptr;
    guarded(error, [&] {
        const std::string_view text(reinterpret_cast<const char*>(json.data), json.size);
        reading = std::make_unique<ChainReading>(ring, parse_chain_description(text)).release();
        return Status::ok;
    });
    return reading;
}

void chain_reading_free(ChainReading* reading) noexcept { delete reading; }

uint32_t chain_reading_epochs(const ChainReading* reading) noexcept {
    return static_cast<uint32_t>(reading->epochs().size());
}

EpochColumns chain_reading_columns(const ChainReading* reading, uint32_t epoch) noexcept {
    return reading->columns(epoch);
}

uint32_t chain_reading_epoch_of(const ChainReading* reading, int64_t seq) noexcept {
    return reading->epoch_of(seq);
}

bool chain_reading_has_key(const ChainReading* reading, uint32_t epoch) noexcept {
    return reading->key(epoch) != nullptr;
}

const char* chain_reading_key_id(const ChainReading* reading, uint32_t epoch) noexcept {
    return reading->epochs()[epoch].key_id.c_str();
}

Status chain_mac(const ChainReading* reading, EntryKind kind, int64_t seq, const unsigned char prev[kMacSize],
                 Bytes body, unsigned char mac[kMacSize], Error* error) noexcept {
    return guarded(error, [&] {
        if (seq < 0)
            throw Failure{sqlstate::kInvalidParameter, "seq must not be negative",
                          "It is " + std::to_string(seq) + ".", "The entries of a chain are numbered from 0 on."};
        const uint32_t epoch = reading->epoch_of(seq);
        const HmacKey* key = reading->key(epoch);
        if (key == nullptr)
            throw Failure{sqlstate::kUndefinedObject,
                          "chain key \"" + reading->epochs()[epoch].key_id + "\" is not in the key ring",
                          "It is the key of entry " + std::to_string(seq) + ".",
                          "Have the key file or the key command give a line: chain ID HEX."};
        unsigned char header[kEntryHeader];
        write_entry_header(kind, seq, prev, header);
        hmac(*key, {{header, sizeof header}, body}, mac);
        return Status::ok;
    });
}

}  // namespace raxx
