// Commands of the server's operator, such as raxx_detect.key_command: run by the shell as the server's user, in a
// process group of their own, within a time limit, until they end or the statement is cancelled; then nothing of
// them is left.
#pragma once

#include "pg/pg.h"

namespace raxx {

struct Command {
    const char* setting;  // what errors call it; they never show the command itself
    const char* text;
    const char* timeout_setting;
    int timeout_s;
    Bytes input;  // its standard input, at most kMostCommandInput bytes
    // Its standard output: where it goes, by read(2) alone, and how much of it there may be. nullptr: it is thrown
    // away.
    unsigned char* output;
    size_t most_output;
    bool quiet;  // what it says on standard error is thrown away, too; otherwise it goes to the server's log
};

constexpr uint32_t kMostCommandInput = 4096;  // fits into a pipe that nobody reads

// How many bytes of output there were. Raises external_routine_exception (38000) when it fails or takes too long,
// and program_limit_exceeded (54000) when it has more output.
size_t run_command(const Command& command);

}  // namespace raxx
