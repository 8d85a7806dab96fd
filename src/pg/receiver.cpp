#include "pg/receiver.h"

#include "pg/chain_progress.h"
#include "pg/errors.h"

extern "C" {
#include "executor/tuptable.h"
#include "tcop/dest.h"
}

namespace raxx {
namespace {

constexpr uint32_t kBatchRows = 1024;
constexpr size_t kBufferBytes = size_t{64} * 1024;  // of one batch's keys and values; a larger value gets its own

}  // namespace

struct Receiver {
    DestReceiver destination;  // first, since the executor knows only this
    Evaluation* evaluation;
    Reading* reading;
    Column* key;            // nullptr: none
    Column* value;          // nullptr: none
    LeftOut* left_out;      // nullptr: nothing
    MemoryContext scratch;  // what output functions and detoasting leave, until the batch is handed over
    bool refused;

    uint32_t rows;
    uint32_t rows_left_out;  // since the last batch
    Time times[kBatchRows];
    Bytes keys[kBatchRows];
    Bytes values[kBatchRows];
    size_t used;
    unsigned char buffer[kBufferBytes];
};

namespace {

// Copies bytes that would go with the next row: into the buffer, or for large ones into the scratch memory.
Bytes keep(Receiver* receiver, Bytes bytes) {
    unsigned char* copy = nullptr;
    if (bytes.size <= kBufferBytes - receiver->used) {
        copy = receiver->buffer + receiver->used;
        receiver->used += bytes.size;
    } else {
        copy = static_cast<unsigned char*>(MemoryContextAllocHuge(receiver->scratch, bytes.size));
        receiver->used = kBufferBytes;  // enough for one batch
    }
    memcpy(copy, bytes.data, bytes.size);
    return {copy, bytes.size};
}

// The bytes of a value, kept. A text that lies in the row as it is, the most common kind, goes without a detour.
Bytes take(Receiver* receiver, Column* column, Datum value) {
    const auto* varlena = reinterpret_cast<struct varlena*>(DatumGetPointer(value));
    if (column->image == Image::text && !VARATT_IS_EXTERNAL(varlena) && !VARATT_IS_COMPRESSED(varlena)) {
        return keep(receiver, {reinterpret_cast<const unsigned char*>(VARDATA_ANY(varlena)),
                               static_cast<uint32_t>(VARSIZE_ANY_EXHDR(varlena))});
    }
    if (column->image == Image::by_value) {
        return keep(receiver, {reinterpret_cast<const unsigned char*>(&value), sizeof value});
    }
    if (column->image == Image::network && !VARATT_IS_EXTENDED(varlena)) {
        const NetworkImage image = network_of(value, column->prefixes);
        return keep(receiver, {image.bytes, image.size});
    }
    MemoryContext caller = MemoryContextSwitchTo(receiver->scratch);
    const Bytes bytes = keep(receiver, bytes_of(*column, value));
    MemoryContextSwitchTo(caller);
    return bytes;
}

// Rows that are left out count, too: they may have left something in the scratch memory.
bool is_full(const Receiver* receiver) {
    return receiver->rows + receiver->rows_left_out == kBatchRows ||
           receiver->used >= kBufferBytes - 2 * sizeof(Datum);
}

// Of the row whose key was taken last.
bool is_left_out(Receiver* receiver, Time time) {
    if (receiver->left_out == nullptr || !anything_left_out(receiver->left_out, time)) return false;
    MemoryContext caller = MemoryContextSwitchTo(receiver->scratch);
    const bool result = leaves_out(receiver->left_out, time, *receiver->key, receiver->keys[receiver->rows]);
    MemoryContextSwitchTo(caller);
    return result;
}

bool receive(TupleTableSlot* slot, DestReceiver* self) {
    auto* receiver = reinterpret_cast<Receiver*>(self);
    slot_getallattrs(slot);
    if (slot->tts_isnull[0]) return true;  // never happened; a range with a bound does not even show it
    ++receiver->reading->rows;
    const Time time = DatumGetTimestampTz(slot->tts_values[0]);
    if (TIMESTAMP_NOT_FINITE(time)) {
        ++receiver->reading->infinite_times;
        return true;
    }
    if ((receiver->key != nullptr && slot->tts_isnull[1]) || (receiver->value != nullptr && slot->tts_isnull[2])) {
        ++receiver->reading->null_rows;
        return true;
    }
    if (receiver->key != nullptr)
        receiver->keys[receiver->rows] = take(receiver, receiver->key, slot->tts_values[1]);
    if (is_left_out(receiver, time)) {
        ++receiver->rows_left_out;
        return is_full(receiver) ? flush(receiver) : true;
    }
    if (receiver->value != nullptr) {
        receiver->values[receiver->rows] = take(receiver, receiver->value, slot->tts_values[2]);
    }
    receiver->times[receiver->rows] = time;
    ++receiver->rows;
    return is_full(receiver) ? flush(receiver) : true;
}

// The plan's columns must still be what was checked: a hostile or unlucky change in between is an error, not a
// crash.
void check_type(TupleDesc descriptor, int at, Oid type) {
    if (at < descriptor->natts && getBaseType(TupleDescAttr(descriptor, at)->atttypid) == type) return;
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("a source changed while it was read"),
                    errdetail("Column %d of its query is no longer of type %s.", at + 1, format_type_be(type)),
                    errhint("Try again.")));
}

void startup(DestReceiver* self, [[maybe_unused]] int operation, TupleDesc descriptor) {
    auto* receiver = reinterpret_cast<Receiver*>(self);
    check_type(descriptor, 0, TIMESTAMPTZOID);
    if (receiver->key != nullptr) check_type(descriptor, 1, receiver->key->type);
    if (receiver->value != nullptr) check_type(descriptor, 2, receiver->value->type);
}
void shutdown([[maybe_unused]] DestReceiver* self) {}

}  // namespace

Receiver* make_receiver(SourceColumns& columns, Evaluation* evaluation, Reading* reading, LeftOut* left_out) {
    auto* receiver = static_cast<Receiver*>(palloc(sizeof(Receiver)));
    receiver->destination = {receive, startup, shutdown, shutdown, DestTuplestore};
    receiver->evaluation = evaluation;
    receiver->reading = reading;
    receiver->key = columns.key.number != 0 ? &columns.key : nullptr;
    receiver->value = columns.value.number != 0 ? &columns.value : nullptr;
    receiver->left_out = left_out;
    if (left_out != nullptr) forget_rows(left_out);
    receiver->scratch = AllocSetContextCreate(CurrentMemoryContext, "raxx_detect batch", ALLOCSET_DEFAULT_SIZES);
    receiver->refused = false;
    receiver->rows = 0;
    receiver->rows_left_out = 0;
    receiver->used = 0;
    return receiver;
}

DestReceiver* as_destination(Receiver* receiver) { return &receiver->destination; }

bool flush(Receiver* receiver) {
    if (receiver->refused) return false;
    const Rows rows = {receiver->rows, receiver->times, receiver->key != nullptr ? receiver->keys : nullptr,
                       receiver->value != nullptr ? receiver->values : nullptr};
    Error error;
    Status status = Status::more;
    while (status == Status::more) {
        CHECK_FOR_INTERRUPTS();
        status = evaluation_add(receiver->evaluation, rows, &error);
        check(status, error);
    }
    receiver->refused = status == Status::reread;
    note_read(receiver->rows + receiver->rows_left_out);
    receiver->rows = 0;
    receiver->rows_left_out = 0;
    receiver->used = 0;
    MemoryContextReset(receiver->scratch);
    return !receiver->refused;
}

}  // namespace raxx
