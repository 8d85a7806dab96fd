// Writing and reading lines. What is read is written again and compared, so that there is one form only: no leading
// zeros, no upper case, no second blank, nothing behind it.
#include "core/checkpoint.h"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

#include "core/hex.h"

namespace raxx {
namespace {

constexpr std::string_view kBegin = "raxx-checkpoint 1";
constexpr size_t kSignatureSize = 64;
constexpr size_t kBase64Size = 88;  // of a signature
constexpr int64_t kMicrosecondsADay = 86'400'000'000;
constexpr std::chrono::sys_days kEpochDay = std::chrono::year{2000} / 1 / 1;

// Of a time from year 1 to 9999, in UTC.
std::string time_text(Time time) {
    const int64_t days = time >= 0 ? time / kMicrosecondsADay : -((-(time + 1)) / kMicrosecondsADay) - 1;
    const int64_t rest = time - days * kMicrosecondsADay;
    const std::chrono::year_month_day date(kEpochDay + std::chrono::days(days));
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(rest / 3'600'000'000), static_cast<int>(rest / 60'000'000 % 60),
                  static_cast<int>(rest / 1'000'000 % 60), static_cast<int>(rest % 1'000'000));
    return text;
}

constexpr Time first_of(int year) {
    return (std::chrono::sys_days{std::chrono::year{year} / 1 / 1} - kEpochDay).count() * kMicrosecondsADay;
}

bool has_text(Time time) { return time >= first_of(1) && time < first_of(10'000); }

// All of the text is a decimal number without a sign.
bool parse_number(std::string_view text, int64_t* result) {
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, *result);
    return error == std::errc() && stopped == end && *result >= 0;
}

// Digits where the form has them; whether the date exists shows when it is written again.
bool parse_time(std::string_view text, Time* result) {
    constexpr std::string_view kForm = "0000-00-00T00:00:00.000000Z";
    if (text.size() != kForm.size()) return false;
    const auto number = [text](size_t at, size_t size) {
        int64_t value = 0;
        return parse_number(text.substr(at, size), &value) ? value : 0;
    };
    const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(number(0, 4))),
                                           std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                           std::chrono::day(static_cast<unsigned>(number(8, 2))));
    if (!date.ok()) return false;
    const int64_t days = (std::chrono::sys_days(date) - kEpochDay).count();
    const int64_t seconds = (number(11, 2) * 60 + number(14, 2)) * 60 + number(17, 2);
    *result = days * kMicrosecondsADay + seconds * 1'000'000 + number(20, 6);
    return true;
}

std::string signed_text(const Checkpoint& checkpoint) {
    std::string text(kBegin);
    for (const std::string& word :
         {uuid_text(checkpoint.chain), std::to_string(checkpoint.number), std::to_string(checkpoint.seq),
          hex(checkpoint.mac, kMacSize), time_text(checkpoint.made_at), std::string(checkpoint.key_id)}) {
        text += ' ';
        text += word;
    }
    return text;
}

std::string base64(const unsigned char signature[64]) {
    unsigned char text[kBase64Size + 1];
    EVP_EncodeBlock(text, signature, kSignatureSize);
    return {reinterpret_cast<const char*>(text), kBase64Size};
}

bool parse_base64(std::string_view text, unsigned char signature[64]) {
    unsigned char bytes[kBase64Size / 4 * 3];
    if (text.size() != kBase64Size || EVP_DecodeBlock(bytes, reinterpret_cast<const unsigned char*>(text.data()),
                                                      static_cast<int>(text.size())) < 0)
        return false;
    std::copy_n(bytes, kSignatureSize, signature);
    return base64(signature) == text;
}

// Cuts the next word, up to a blank or the end, off the text.
std::string_view next_word(std::string_view* text) {
    const size_t end = std::min(text->find(' '), text->size());
    const std::string_view word = text->substr(0, end);
    text->remove_prefix(std::min(end + 1, text->size()));
    return word;
}

bool parse_fields(std::string_view text, Checkpoint* result) {
    text.remove_prefix(kBegin.size() + 1);
    if (!parse_uuid(next_word(&text), result->chain) || !parse_number(next_word(&text), &result->number) ||
        !parse_number(next_word(&text), &result->seq) ||
        !parse_hex(next_word(&text), static_cast<unsigned char*>(result->mac), kMacSize) ||
        !parse_time(next_word(&text), &result->made_at))
        return false;
    const std::string_view id = next_word(&text);
    if (!is_key_id(id)) return false;
    std::ranges::copy(id, result->key_id);
    result->key_id[id.size()] = '\0';
    return true;
}

const KeyRing::Key& signing_key(const KeyRing& ring, std::string_view id) {
    const KeyRing::Key* key = id.empty() ? ring.last(KeyKind::checkpoint) : ring.find(id);
    if (key == nullptr || key->kind != KeyKind::checkpoint)
        throw Failure{sqlstate::kUndefinedObject,
                      id.empty() ? "the key ring has no checkpoint key"
                                 : "checkpoint key \"" + std::string(id) + "\" is not in the key ring",
                      key == nullptr ? "" : "Its key of this id is of another kind.",
                      "Have the key file or the key command give a line: checkpoint ID HEX."};
    return *key;
}

void check_fields(const Checkpoint& checkpoint) {
    if (checkpoint.number < 0 || checkpoint.seq < 0)
        throw Failure{
            sqlstate::kInvalidParameter, "number and seq of a checkpoint must not be negative",
            "They are " + std::to_string(checkpoint.number) + " and " + std::to_string(checkpoint.seq) + ".",
            "Both are counted from 0 on."};
    if (!has_text(checkpoint.made_at))
        throw Failure{sqlstate::kInvalidParameter, "the time of a checkpoint is out of range",
                      "It is before the year 1, after 9999 or infinite.", "Give the time at which it is made."};
}

}  // namespace

std::string sign_checkpoint(const KeyRing& ring, const Checkpoint& checkpoint) {
    check_fields(checkpoint);
    const std::string_view wanted(checkpoint.key_id, strnlen(checkpoint.key_id, sizeof checkpoint.key_id));
    const KeyRing::Key& key = signing_key(ring, wanted);
    Checkpoint named = checkpoint;
    std::ranges::copy(key.id, named.key_id);
    named.key_id[key.id.size()] = '\0';
    std::string line = signed_text(named);
    unsigned char signature[kSignatureSize];
    ed25519_sign(ring.bytes(key), line, signature);
    return line + ' ' + base64(signature);
}

bool parse_checkpoint(std::string_view line, SignedCheckpoint* result) {
    const size_t last = line.rfind(' ');
    if (line.size() >= kCheckpointLimit || last == std::string_view::npos || last <= kBegin.size()) return false;
    result->text = line.substr(0, last);
    return parse_base64(line.substr(last + 1), result->signature) && parse_fields(result->text, &result->fields) &&
           signed_text(result->fields) == result->text;
}

CheckpointVerdict verify_checkpoint(const KeyRing& ring, std::string_view line) {
    SignedCheckpoint checkpoint = {};
    if (!parse_checkpoint(line, &checkpoint)) return CheckpointVerdict::malformed;
    const KeyRing::Key* key = ring.find(checkpoint.fields.key_id);
    if (key == nullptr || key->kind == KeyKind::chain) return CheckpointVerdict::unknown_key;
    unsigned char public_key[kCheckpointKeySize];
    if (key->kind == KeyKind::checkpoint) {
        ed25519_public_key(ring.bytes(*key), public_key);
    } else {
        std::copy_n(ring.bytes(*key).data, kCheckpointKeySize, public_key);
    }
    return ed25519_verify({public_key, kCheckpointKeySize}, checkpoint.text, checkpoint.signature)
               ? CheckpointVerdict::valid
               : CheckpointVerdict::invalid;
}

namespace {

std::string_view view(Bytes text) { return {reinterpret_cast<const char*>(text.data), text.size}; }

}  // namespace

Status checkpoint_sign(const KeyRing* ring, const Checkpoint& checkpoint, char line[kCheckpointLimit],
                       Error* error) noexcept {
    return guarded(error, [&] {
        const std::string text = sign_checkpoint(*ring, checkpoint);
        text.copy(line, kCheckpointLimit - 1);
        line[text.size()] = '\0';
        return Status::ok;
    });
}

Status checkpoint_parse(Bytes line, Checkpoint* checkpoint, Error* error) noexcept {
    return guarded(error, [&] {
        SignedCheckpoint result = {};
        if (!parse_checkpoint(view(line), &result))
            throw Failure{sqlstate::kInvalidText, "not the line of a checkpoint",
                          "It is not exactly as raxx_detect.sign_checkpoint() writes them.",
                          "A line is raxx-checkpoint 1 CHAIN NUMBER SEQ MAC TIME KEY-ID SIGNATURE."};
        *checkpoint = result.fields;
        return Status::ok;
    });
}

Status checkpoint_verify(const KeyRing* ring, Bytes line, CheckpointVerdict* verdict, Error* error) noexcept {
    return guarded(error, [&] {
        *verdict = verify_checkpoint(*ring, view(line));
        return Status::ok;
    });
}

}  // namespace raxx
