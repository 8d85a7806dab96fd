// How far a verification, or a backtest, is, for other sessions to see: through the server's own progress counters,
// which need no preloaded module and end with the command, whatever happens.
#pragma once

#include "pg/pg.h"

namespace raxx {

constexpr int64 kRowsPerProgress = 8192;

// So many more rows have been verified in this process.
void note_progress(int64 rows);

// So many more rows of a source have been read; counts in a backtest.
void note_read(int64 rows);

}  // namespace raxx
