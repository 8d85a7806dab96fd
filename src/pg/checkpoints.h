// Checkpoints in SQL: signing, reading and verifying them, and the two commands that carry them out of the database
// and back (raxx_detect.checkpoint_command, raxx_detect.checkpoint_source_command).
#pragma once

#include "pg/pg.h"

namespace raxx {

void define_checkpoint_settings();

}  // namespace raxx
