// Quantile sketches as text and as bytes on the wire. Both forms may come from anybody, so reading checks that they
// are what writing could have written: only then may the rest of the code rely on a sketch.
//
// Text: version;count;min;max;key:count,key:count,... with empty fields for what a sketch of no value does not
// have. Wire: the version in a byte, count, min, max, then a key (4 bytes) and a count for each bucket; all
// big-endian.
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

#include "core/quantile_sketch.h"

namespace raxx {
namespace {

constexpr const char* kHint =
    "Only the aggregates raxx_detect.quantile_sketch and raxx_detect.merge make sketches; restore them unchanged.";
constexpr size_t kWireHeader = 1 + 3 * sizeof(int64_t);
constexpr size_t kWireBucket = sizeof(int32_t) + sizeof(int64_t);

// What is being read, for the errors.
struct Form {
    const char* sqlstate;
    const char* message;
};
constexpr Form kText = {sqlstate::kInvalidText, "invalid text for a quantile sketch"};
constexpr Form kWire = {sqlstate::kInvalidBinary, "invalid bytes for a quantile sketch"};

[[noreturn]] void refuse(const Form& form, const std::string& detail) {
    throw Failure{form.sqlstate, form.message, detail, kHint};
}

void check_version(const Form& form, int64_t version) {
    if (version == kSketchVersion) return;
    throw Failure{form.sqlstate, "unknown version of a quantile sketch",
                  "The version is " + std::to_string(version) + "; this is raxx_detect's version " +
                      std::to_string(kSketchVersion) + ".",
                  "Read it with the release of raxx_detect that wrote it, or with a later one."};
}

// ---- checks --------------------------------------------------------------------------------------------------

void check_header(const Form& form, const Sketch& sketch) {
    if (sketch.count < 0) refuse(form, "The count is " + std::to_string(sketch.count) + ", which is negative.");
    if (std::isnan(sketch.min) || std::isnan(sketch.max)) refuse(form, "The minimum or the maximum is NaN.");
    if (sketch.count == 0 && (std::bit_cast<uint64_t>(sketch.min) | std::bit_cast<uint64_t>(sketch.max)) != 0)
        refuse(form, "The count is 0, and yet there is a minimum or a maximum.");
}

// Also takes a key that is too low to follow the one before it for out of order.
void append(const Form& form, Sketch* sketch, int32_t key, int64_t count) {
    const std::string bucket = "Bucket " + std::to_string(sketch->buckets + 1);
    if (key < -kMostSketchKey || key > kMostSketchKey)
        refuse(form, bucket + " has the key " + std::to_string(key) + ", which no number has.");
    if (sketch->buckets > 0 && key <= sketch->keys[sketch->buckets - 1])
        refuse(form, bucket + " has the key " + std::to_string(key) + ", which is not above the one before it.");
    if (count <= 0) refuse(form, bucket + " has the count " + std::to_string(count) + ", which is not positive.");
    sketch->keys[sketch->buckets] = key;
    sketch->counts[sketch->buckets] = count;
    ++sketch->buckets;
}

void check_sum(const Form& form, const Sketch& sketch) {
    int64_t left = sketch.count;
    for (uint32_t i = 0; i < sketch.buckets; ++i) {
        if (sketch.counts[i] > left) refuse(form, "The counts of the buckets add up to more than the count.");
        left -= sketch.counts[i];
    }
    if (left > 0) refuse(form, "The counts of the buckets add up to less than the count.");
}

void check_ends(const Form& form, const Sketch& sketch) {
    if (sketch.count == 0) return;
    if (sketch_key(sketch.min) != sketch.keys[0]) refuse(form, "The minimum is not in the first bucket.");
    if (sketch_key(sketch.max) != sketch.keys[sketch.buckets - 1])
        refuse(form, "The maximum is not in the last bucket.");
    if (sketch.min > sketch.max) refuse(form, "The minimum is above the maximum.");
    if (sketch.count == 1 && sketch.min != sketch.max)
        refuse(form, "The minimum and the maximum of one value are not the same.");
}

void check_whole(const Form& form, Sketch* sketch) {
    check_sum(form, *sketch);
    check_ends(form, *sketch);
    sketch->min += 0.0;  // of the two zeros the positive one
    sketch->max += 0.0;
}

// ---- text ----------------------------------------------------------------------------------------------------

std::string_view view(Bytes text) { return {reinterpret_cast<const char*>(text.data), text.size}; }

// Takes the text before the separator off, and the separator.
std::string_view take_field(const Form& form, std::string_view* rest, char separator) {
    const size_t end = rest->find(separator);
    if (end == std::string_view::npos)
        refuse(form, std::string{"There is no \""} + separator + "\" where one must be.");
    const std::string_view field = rest->substr(0, end);
    rest->remove_prefix(end + 1);
    return field;
}

template <class Number>
Number number(const Form& form, std::string_view field, const char* what) {
    Number value{};
    const char* const end = field.data() + field.size();
    const auto [stop, problem] = std::from_chars(field.data(), end, value);
    if (problem == std::errc::result_out_of_range) refuse(form, std::string{"The "} + what + " is out of range.");
    if (problem != std::errc{} || stop != end) refuse(form, std::string{"The "} + what + " is not a number.");
    return value;
}

void read_text(std::string_view text, Sketch* sketch) {
    check_version(kText, number<int64_t>(kText, take_field(kText, &text, ';'), "version"));
    sketch->count = number<int64_t>(kText, take_field(kText, &text, ';'), "count");
    const std::string_view min = take_field(kText, &text, ';');
    const std::string_view max = take_field(kText, &text, ';');
    const bool none = sketch->count == 0 && min.empty() && max.empty();
    sketch->min = none ? 0 : number<double>(kText, min, "minimum");
    sketch->max = none ? 0 : number<double>(kText, max, "maximum");
    if (sketch->count == 0 && !none) refuse(kText, "The count is 0, and yet there is a minimum or a maximum.");
    check_header(kText, *sketch);
    sketch->buckets = 0;
    while (!text.empty()) {
        const std::string_view key = take_field(kText, &text, ':');
        const size_t end = std::min(text.find(','), text.size());
        append(kText, sketch, number<int32_t>(kText, key, "key of a bucket"),
               number<int64_t>(kText, text.substr(0, end), "count of a bucket"));
        if (end + 1 == text.size()) refuse(kText, "The text ends in a comma.");
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    check_whole(kText, sketch);
}

constexpr size_t kLongestInteger = 20;  // -9223372036854775808
constexpr size_t kLongestDouble = 24;   // -2.2250738585072014e-308

template <class Number>
char* write(char* to, Number value, size_t longest) {
    return std::to_chars(to, to + longest, value).ptr;
}

char* write_double(char* to, double value) {
    if (std::isfinite(value)) return write(to, value, kLongestDouble);
    const std::string_view name = value > 0 ? "Infinity" : "-Infinity";
    return std::copy(name.begin(), name.end(), to);
}

// ---- wire ----------------------------------------------------------------------------------------------------

template <class Integer>
unsigned char* store(unsigned char* to, Integer value) {
    for (size_t i = sizeof value; i-- > 0;) *to++ = static_cast<unsigned char>(value >> (8 * i));
    return to;
}

template <class Integer>
Integer load(const unsigned char** from) {
    Integer value = 0;
    for (size_t i = 0; i < sizeof value; ++i) value = (value << 8) | *(*from)++;
    return value;
}

void read_wire(Bytes wire, Sketch* sketch) {
    const unsigned char* next = wire.data;
    if (wire.size > 0) check_version(kWire, *next++);
    if (wire.size < kWireHeader || (wire.size - kWireHeader) % kWireBucket != 0)
        refuse(kWire, "It has " + std::to_string(wire.size) + " bytes, which no sketch has.");
    sketch->count = static_cast<int64_t>(load<uint64_t>(&next));
    sketch->min = std::bit_cast<double>(load<uint64_t>(&next));
    sketch->max = std::bit_cast<double>(load<uint64_t>(&next));
    check_header(kWire, *sketch);
    sketch->buckets = 0;
    while (next < wire.data + wire.size) {
        const auto key = static_cast<int32_t>(load<uint32_t>(&next));
        append(kWire, sketch, key, static_cast<int64_t>(load<uint64_t>(&next)));
    }
    check_whole(kWire, sketch);
}

}  // namespace

// ---- the boundary --------------------------------------------------------------------------------------------

size_t sketch_text_limit(const Sketch& sketch) noexcept {
    constexpr size_t kSeparator = 1;
    const size_t bucket = std::string_view{"-524032"}.size() + kLongestInteger + 2 * kSeparator;
    return 2 * (kLongestInteger + kSeparator) + 2 * (kLongestDouble + kSeparator) + sketch.buckets * bucket;
}

void sketch_to_text(const Sketch& sketch, char* text) noexcept {
    text = write(text, int64_t{kSketchVersion}, kLongestInteger);
    *text++ = ';';
    text = write(text, sketch.count, kLongestInteger);
    *text++ = ';';
    if (sketch.count > 0) text = write_double(text, sketch.min);
    *text++ = ';';
    if (sketch.count > 0) text = write_double(text, sketch.max);
    *text++ = ';';
    for (uint32_t i = 0; i < sketch.buckets; ++i) {
        if (i > 0) *text++ = ',';
        text = write(text, sketch.keys[i], kLongestInteger);
        *text++ = ':';
        text = write(text, sketch.counts[i], kLongestInteger);
    }
    *text = '\0';
}

// Each bucket has a colon, and there are no more of them than keys.
uint32_t sketch_text_buckets(Bytes text) noexcept {
    const std::string_view all = view(text);
    const auto colons = static_cast<size_t>(std::count(all.begin(), all.end(), ':'));
    return static_cast<uint32_t>(std::min<size_t>(colons, kMostSketchBuckets));
}

Status sketch_from_text(Bytes text, Sketch* sketch, Error* error) noexcept {
    return guarded(error, [&] {
        read_text(view(text), sketch);
        return Status::ok;
    });
}

size_t sketch_wire_size(const Sketch& sketch) noexcept { return kWireHeader + sketch.buckets * kWireBucket; }

void sketch_to_wire(const Sketch& sketch, unsigned char* wire) noexcept {
    *wire++ = kSketchVersion;
    wire = store(wire, static_cast<uint64_t>(sketch.count));
    wire = store(wire, std::bit_cast<uint64_t>(sketch.min));
    wire = store(wire, std::bit_cast<uint64_t>(sketch.max));
    for (uint32_t i = 0; i < sketch.buckets; ++i) {
        wire = store(wire, static_cast<uint32_t>(sketch.keys[i]));
        wire = store(wire, static_cast<uint64_t>(sketch.counts[i]));
    }
}

uint32_t sketch_wire_buckets(Bytes wire) noexcept {
    if (wire.size < kWireHeader) return 0;
    return static_cast<uint32_t>(std::min<size_t>((wire.size - kWireHeader) / kWireBucket, kMostSketchBuckets));
}

Status sketch_from_wire(Bytes wire, Sketch* sketch, Error* error) noexcept {
    return guarded(error, [&] {
        read_wire(wire, sketch);
        return Status::ok;
    });
}

}  // namespace raxx
