// The DestReceiver between executor and core: collects rows into flat arrays and hands a full batch to an
// evaluation.
#pragma once

#include "pg/evaluate.h"

namespace raxx {

struct Receiver;

// Lives in the current memory context. Adds what it sees to `reading`, and keeps from the evaluation what is left
// out, which may be nullptr and is counted anew.
Receiver* make_receiver(SourceColumns& columns, Evaluation* evaluation, Reading* reading, LeftOut* left_out);

DestReceiver* as_destination(Receiver* receiver);

// Hands over the last batch. False if the evaluation cannot use the rows in the order they came.
bool flush(Receiver* receiver);

}  // namespace raxx
