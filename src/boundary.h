// The one header that both sides of the fence include: what src/pg may ask of src/core.
//
// Flat arrays go in, a Status and flat arrays come out, and every function is noexcept: no exception, no
// std:: object and no Postgres type crosses this line. An Evaluation lives on the C++ heap; its owner must
// call evaluation_free exactly once (src/pg does so from a memory-context callback, so a cancel frees it too).
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace raxx {

// Microseconds since 2000-01-01 00:00 UTC: the same number that Postgres stores for a timestamptz. Arithmetic on
// times saturates at the two infinities.
using Time = int64_t;
constexpr Time kMinusInfinity = INT64_MIN;
constexpr Time kInfinity = INT64_MAX;

struct Bytes {
    const unsigned char* data;
    uint32_t size;
};

// What becomes an ereport: filled whenever a function returns Status::failed.
struct Error {
    char sqlstate[6];
    char message[256];
    char detail[256];
    char hint[256];
};

enum class Status {
    ok,
    more,     // not finished: call again (lets the caller look for a cancel in between)
    reread,   // the rows cannot be used in the order they came: read again, better ordered
    stopped,  // the caller's stop function said so: look for a cancel, and call again if there is none
    failed,   // see the Error
};

// ---- evaluations (velocity.h, distinct.h, ordered.h, gaps.h, cell_counts.h) ----------------------------------

// The last two count the episodes of every threshold.
enum class Method {
    velocity,
    distinct,
    ordered,
    email_pattern,
    gaps,
    gap_quantiles,
    cell_counts,
    velocity_counts,
    distinct_counts,
};

// How the rows arrive. by_key: grouped by key, by time within one key.
enum class Order { by_time, by_key, none };

// For each key, from when on, how many: in any order. Before its first time, and if it has none, a key needs more
// than there can be. An episode begins only with a row.
struct KeyLimits {
    uint32_t count;
    const Bytes* keys;
    const Time* from;
    const int64_t* limits;
};

// Time from `begin` on, divided into cells of Spec::window; and by which hour of the clock a cell goes: that of the
// last start at or before its beginning.
struct Cells {
    Time begin;
    uint32_t hour_count;      // at least 1
    const Time* hour_starts;  // ascending, the first at `begin` or before
    const int32_t* hours;     // 0 to 23
    bool distinct;            // count distinct values, not rows
    uint64_t keep;            // how many keys are wanted one by one: those with the largest sums
};

struct KeyList {
    uint32_t count;
    const Bytes* keys;
};

struct Spec {
    Method method;
    Order order;
    bool check_order;         // the order by_time is only presumed: Status::reread at the first row out of it
    Time window;              // the sliding window; gaps: report what is longer; cell_counts: the cells' length
    int64_t threshold;        // velocity, distinct, email_pattern: at least so many; ordered: all of so many
    const KeyLimits* limits;  // by_time or none: instead of the threshold; only read by evaluation_create
    double quantile;          // gap_quantiles: which, in [0, 1]
    size_t memory_limit;      // bytes the evaluation may hold before it gives up (Status::reread or an error)
    uint64_t seed;            // keys the hash tables, so that nobody can choose colliding entities
    bool (*stop)();           // asked now and then while sorting; may be null
    const Cells* cells = nullptr;      // cell_counts; only read by evaluation_create
    Time count_from = kMinusInfinity;  // velocity_counts, distinct_counts: episodes that begin later
    const KeyList* watched = nullptr;  // and the keys whose levels are wanted; only read by evaluation_create
};

// Rows as columns. keys: not for gaps; values: only for distinct, ordered and such cells. Times are finite.
struct Rows {
    uint32_t count;
    const Time* times;
    const Bytes* keys;
    const Bytes* values;
};

// [start, end): the condition holds at the start and no longer at the end. Of a gap: no key, peak and rows 0.
struct Episode {
    Time start;
    Time end;
    int64_t peak;  // the largest number seen in one window
    int64_t rows;  // rows in that window; the most, where several hold the peak
    Bytes key;
};

// Sorted by (start, key bytes). Of counts: at the start the level of a watched key became the peak.
struct Episodes {
    size_t count;
    const Episode* items;
};

// counts[i]: how many episodes the threshold i + 1 has. From `count` on none.
struct EpisodeCounts {
    size_t count;
    const int64_t* counts;
};

// A quantile sketch as it is stored: the keys ascend, the counts are positive and add up to `count`. Without a
// value min and max are 0.
struct Sketch {
    int64_t count;
    double min;
    double max;
    uint32_t buckets;
    int32_t* keys;
    int64_t* counts;
};

struct HourlyGaps {
    int64_t count[24];     // by the UTC hour in which the gap began
    int64_t quantile[24];  // microseconds; -1 where count is 0
};

// What the cells held that held anything; element h: those of hour h.
struct HourlyCounts {
    int64_t cells[24];
    int64_t sums[24];
    double squares[24];  // sums of squares
};

struct CellCounts {
    int64_t rows;
    HourlyCounts all;  // each key's cells are cells of their own
    Sketch sketch;     // of what the cells held
    size_t certain;    // so many keys are among those wanted;
    size_t tied;       // and of so many after them, all with the same sum, as many as are still wanted
    const Bytes* keys;
};

class Evaluation;
Evaluation* evaluation_create(const Spec& spec, Error* error) noexcept;  // nullptr: see the error
// Both work for some milliseconds a call. Status::more: call again, evaluation_add with the same rows.
Status evaluation_add(Evaluation* evaluation, const Rows& rows, Error* error) noexcept;
Status evaluation_finish(Evaluation* evaluation, Error* error) noexcept;
Episodes evaluation_episodes(const Evaluation* evaluation) noexcept;             // valid until evaluation_free
EpisodeCounts evaluation_episode_counts(const Evaluation* evaluation) noexcept;  // valid until evaluation_free
HourlyGaps evaluation_hourly_gaps(const Evaluation* evaluation) noexcept;
CellCounts evaluation_cell_counts(const Evaluation* evaluation) noexcept;  // valid until evaluation_free
HourlyCounts evaluation_key_counts(const Evaluation* evaluation, size_t at) noexcept;  // of the keys[at]
void evaluation_free(Evaluation* evaluation) noexcept;

// ---- statistics (tails.h, ks_test.h, benford.h) --------------------------------------------------------------

// P(X >= k). Relative error at most 1e-11 wherever the result is at least 1e-300.
Status poisson_upper_tail(int64_t k, double mean, double* result, Error* error) noexcept;
Status binomial_upper_tail(int64_t k, int64_t n, double p, double* result, Error* error) noexcept;
Status negative_binomial_upper_tail(int64_t k, double mean, double variance, double* result, Error* error) noexcept;
Status normal_upper_tail(double z, double* result, Error* error) noexcept;
Status chi_squared_upper_tail(double x, double df, double* result, Error* error) noexcept;

// The smallest k >= 0 with P(X >= k) <= tail.
Status critical_count(double mean, double variance, double tail, int64_t* result, Error* error) noexcept;

// The exact two-sided interval (Garwood's) of the mean of a Poisson number of which k were seen.
Status poisson_interval(int64_t k, double confidence, double* low, double* high, Error* error) noexcept;

struct KsResult {
    double d;
    double p_value;
};

// Two-sample, two-sided Kolmogorov-Smirnov, as ks.test of R 4.2. stop may be null; it is asked now and then.
Status ks_test(const double* x, size_t n, const double* y, size_t m, bool (*stop)(), KsResult* result,
               Error* error) noexcept;

struct BenfordResult {
    int64_t n;
    double chi_squared;  // 8 degrees of freedom
    double p_value;
    double mad;  // mean absolute deviation of the nine shares
};

// counts[0] is the number of values whose first significant digit is 1. n = 0 gives NaN statistics.
Status benford(const int64_t counts[9], BenfordResult* result, Error* error) noexcept;

// ---- quantile sketches (quantile_sketch.h) ---------------------------------------------------------------------

constexpr uint8_t kSketchVersion = 1;

// As it is filled: a hash table, at most three quarters full. A free slot has the count 0.
struct SketchSlot {
    int64_t count;
    int32_t key;
};
struct SketchTable {
    int64_t count;
    double min;
    double max;
    uint32_t buckets;
    uint32_t bits;        // there are 2^bits slots, at least 2
    uint64_t multiplier;  // of the hash: odd, and not to be guessed
    SketchSlot* slots;
};

// How many bits a table for so many buckets needs, and the largest number of buckets for so many bits.
uint32_t sketch_table_bits(uint64_t buckets) noexcept;
constexpr uint64_t sketch_table_room(uint32_t bits) noexcept { return (uint64_t{3} << bits) / 4; }
// Moves to other slots, which are all free and enough.
void sketch_table_move(SketchTable* table, SketchSlot* slots, uint32_t bits) noexcept;
// Both need room for what is new, and fail, changing nothing, only when the count exceeds 64 bits, or the one that
// a value comes with is negative. NaN is ignored, and so is what occurred no time.
Status sketch_table_add(SketchTable* table, double value, int64_t times, Error* error) noexcept;
Status sketch_table_merge(SketchTable* table, const Sketch& other, Error* error) noexcept;
// The arrays of the sketch have room for the table's buckets.
void sketch_from_table(const SketchTable& table, Sketch* sketch) noexcept;

// Without a value in the sketch the arguments are checked, and the result means nothing.
Status sketch_quantile(const Sketch& sketch, double q, double* result, Error* error) noexcept;
Status sketch_share_above(const Sketch& sketch, double x, double* result, Error* error) noexcept;

Status sketch_ks_test(const Sketch& x, const Sketch& y, KsResult* result, Error* error) noexcept;

// Text and bytes on the wire (sketch_format.cpp). Reading checks everything; the arrays of the sketch have room for
// as many buckets as the first function of the two says.
size_t sketch_text_limit(const Sketch& sketch) noexcept;  // at most so many characters, and a zero
void sketch_to_text(const Sketch& sketch, char* text) noexcept;
uint32_t sketch_text_buckets(Bytes text) noexcept;
Status sketch_from_text(Bytes text, Sketch* sketch, Error* error) noexcept;
size_t sketch_wire_size(const Sketch& sketch) noexcept;
void sketch_to_wire(const Sketch& sketch, unsigned char* wire) noexcept;
uint32_t sketch_wire_buckets(Bytes wire) noexcept;
Status sketch_from_wire(Bytes wire, Sketch* sketch, Error* error) noexcept;

// ---- e-mail patterns (email_pattern.h) -----------------------------------------------------------------------

// Zero-terminated; empty where the address has none.
struct EmailPattern {
    char domain[256];
    char registrable_domain[256];
    char shape[128];
};

// Never fails: what is not an address has an empty domain, registrable domain and shape.
void email_pattern(Bytes email, EmailPattern* result) noexcept;

// ---- secrets (secret.h) ----------------------------------------------------------------------------------------

// Memory that is locked, left out of core dumps and wiped by secret_free. nullptr: there is none left.
unsigned char* secret_alloc(size_t size) noexcept;
void secret_free(void* data) noexcept;

// ---- the keys of a hash chain (key_ring.h) --------------------------------------------------------------------

constexpr uint32_t kMacSize = 32;
constexpr uint32_t kChainIdSize = 16;

enum class KeyKind : uint8_t { chain, checkpoint, checkpoint_public };
struct KeyName {
    const char* id;  // valid until key_ring_free
    KeyKind kind;
};

class KeyRing;
// Copies the keys into memory for secrets; the text is the caller's to wipe. No error holds any of it.
KeyRing* key_ring_create(Bytes text, Error* error) noexcept;  // nullptr: see the error
void key_ring_free(KeyRing* ring) noexcept;                   // wipes
uint32_t key_ring_size(const KeyRing* ring) noexcept;
KeyName key_ring_name(const KeyRing* ring, uint32_t at) noexcept;  // in the order of the text

// ---- a chain as it is to be read (chain_reading.h) ------------------------------------------------------------

enum class EntryKind : uint8_t { row = 1, record = 2 };

// The sealed columns of an epoch, in the manifest's order.
struct EpochColumns {
    uint32_t count;
    const uint32_t* at;  // where the column's value stands among those that come with a row
    const Bytes* kinds;  // of the canonical forms
};

class ChainReading;
// Derives the key of each epoch; the ring may go before the reading does. A ring of nullptr has no key. The text is
// JSON: {"chain": UUID, "epochs": [{"from": 0, "key": ID, "columns": [{"name": .., "kind": .., "at": 0}, ..]}, ..]}
// A key of "" is one that no ring has. nullptr: see the error.
ChainReading* chain_reading_create(const KeyRing* ring, Bytes json, Error* error) noexcept;
void chain_reading_free(ChainReading* reading) noexcept;              // wipes
uint32_t chain_reading_epochs(const ChainReading* reading) noexcept;  // at least 1
EpochColumns chain_reading_columns(const ChainReading* reading, uint32_t epoch) noexcept;
uint32_t chain_reading_epoch_of(const ChainReading* reading, int64_t seq) noexcept;  // of a negative one: the first
bool chain_reading_has_key(const ChainReading* reading, uint32_t epoch) noexcept;    // false: the ring lacks it
const char* chain_reading_key_id(const ChainReading* reading, uint32_t epoch) noexcept;

// The MAC of one entry, by the key of its seq's epoch. Fails where that is not in the ring, and for a negative seq.
Status chain_mac(const ChainReading* reading, EntryKind kind, int64_t seq, const unsigned char prev[kMacSize],
                 Bytes body, unsigned char mac[kMacSize], Error* error) noexcept;

// Whether the MAC of an entry is this one, compared in constant time.
Status chain_mac_holds(const ChainReading* reading, EntryKind kind, int64_t seq, const unsigned char prev[kMacSize],
                       Bytes body, const unsigned char mac[kMacSize], bool* holds, Error* error) noexcept;

// What MACs are computed with in this process, for people: "intel-ipsec-mb 1.3.0, AVX-512" or "OpenSSL 3.0.22".
const char* mac_engine(Error* error) noexcept;  // nullptr: none gives known answers; see the error

// ---- verifying a chain (chain_audit.h) -------------------------------------------------------------------------

struct SeqRange {
    int64_t from;
    int64_t to;  // included
};

// Both MACs have kMacSize bytes.
struct ChainLink {
    int64_t seq;
    const unsigned char* prev;
    const unsigned char* mac;
};

enum class EntryState : uint8_t { valid, invalid, unverified };

struct ChainCounts {
    int64_t entries;     // in the range
    int64_t invalid;     // of them, those whose MAC is another
    int64_t unverified;  // and those for whose MAC there is no key
    int64_t unsealed;    // rows that have no place in the chain
    int64_t outside;     // entries outside the range
    int64_t highest_outside;
};

struct ChainJudgement {
    ChainCounts counts;
    size_t range_count;
    const SeqRange* ranges;  // ascending: all is well outside them
};

// Entries come in any order; parts of them may be audited apart, with the same range and seed, and merged.
class ChainAudit;
// Without a reading (nullptr) it can verify nothing itself; otherwise the reading has to outlive it.
// nullptr: see the error.
ChainAudit* chain_audit_create(const ChainReading* reading, SeqRange range, uint64_t seed, Error* error) noexcept;
ChainAudit* chain_audit_from(Bytes serialized, Error* error) noexcept;
void chain_audit_free(ChainAudit* audit) noexcept;
// A row with the canonical form of its columns.
Status chain_audit_verify(ChainAudit* audit, const ChainLink& link, Bytes body, Error* error) noexcept;
// An entry about which it is known already whether it is valid.
Status chain_audit_take(ChainAudit* audit, const ChainLink& link, EntryState state, Error* error) noexcept;
void chain_audit_add_unsealed(ChainAudit* audit) noexcept;
Status chain_audit_merge(ChainAudit* audit, const ChainAudit* other, Error* error) noexcept;
// For another process of the same build. Valid until the audit changes.
Status chain_audit_serialize(ChainAudit* audit, Bytes* result, Error* error) noexcept;
// before: the MAC that the first entry of the range has to follow, last: that of its last one; nullptr: not known.
Status chain_audit_judge(ChainAudit* audit, const unsigned char* before, const unsigned char* last,
                         ChainJudgement* result, Error* error) noexcept;

// ---- chains that applications write (declared_audit.h) --------------------------------------------------------

// In the form in which MACs stand in the table: hexadecimal digits, Base64 or bytes. data is nullptr for NULL.
struct DeclaredRow {
    int64_t seq;
    Bytes prev;  // where the rows have it
    Bytes mac;
};

// What the first row follows.
struct DeclaredStart {
    bool genesis;        // it is the first of the whole chain
    int64_t seq_before;  // of the row before it, or one less than the first is said to have; kNoSeq: not known
    Bytes mac;           // of the row before it; nullptr: not known
};
constexpr int64_t kNoSeq = INT64_MIN;

enum class DeclaredFault : uint8_t {
    content_modified,
    link_broken,
    seq_gap,
    duplicate,
    fork,
    genesis_replaced,
    unsealed,
};
struct DeclaredBreak {
    DeclaredFault fault;
    int64_t seq_from;
    int64_t seq_to;
    int64_t rows;  // that are wrong; 0: of rows that are not there
};

struct DeclaredReport {
    int64_t rows;
    int64_t unverified;  // there is no key
    bool more;           // breaks than these
    size_t break_count;
    const DeclaredBreak* breaks;  // ascending
    int64_t last_seq;             // of the last row with a MAC; kNoSeq: there is none
    const unsigned char* last_mac;
};

// Verifies the rows of such a chain in the order of their numbers.
class DeclaredAudit;
// The format is the JSON that raxx_detect.chain_declare makes. nullptr: see the error
DeclaredAudit* declared_audit_create(const KeyRing* ring, Bytes format, const DeclaredStart& start,
                                     Error* error) noexcept;
void declared_audit_free(DeclaredAudit* audit) noexcept;
uint32_t declared_audit_columns(const DeclaredAudit* audit) noexcept;
const char* declared_audit_kind(const DeclaredAudit* audit, uint32_t column) noexcept;
// body: for each column the canonical form after its length. Fails where a number is less than the one before.
Status declared_audit_add(DeclaredAudit* audit, const DeclaredRow& row, Bytes body, Error* error) noexcept;
// Valid until declared_audit_free.
Status declared_audit_finish(DeclaredAudit* audit, DeclaredReport* report, Error* error) noexcept;
// The bytes of a MAC as it stands in a table; false if it is none.
bool declared_audit_mac(const DeclaredAudit* audit, Bytes text, unsigned char mac[kMacSize]) noexcept;
// Whether values whose canonical form is of this kind have a text that applications hash.
bool has_plain_form(const char* kind) noexcept;

// ---- checkpoints (checkpoint.h) -------------------------------------------------------------------------------

constexpr uint32_t kCheckpointLimit = 512;  // a checkpoint's line and a zero fit

struct Checkpoint {
    unsigned char chain[kChainIdSize];
    int64_t number;
    int64_t seq;
    unsigned char mac[kMacSize];
    Time made_at;
    char key_id[65];
};

enum class CheckpointVerdict { valid, invalid, unknown_key, malformed };

// Signs by the key that the checkpoint names, or, where key_id is empty, by the last checkpoint key of the ring.
Status checkpoint_sign(const KeyRing* ring, const Checkpoint& checkpoint, char line[kCheckpointLimit],
                       Error* error) noexcept;
// Does not look at the signature. There is one way only to write a checkpoint; any other is an error.
Status checkpoint_parse(Bytes line, Checkpoint* checkpoint, Error* error) noexcept;
Status checkpoint_verify(const KeyRing* ring, Bytes line, CheckpointVerdict* verdict, Error* error) noexcept;

}  // namespace raxx
