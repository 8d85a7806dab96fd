// The keys of hash chains come from a file or a command that only superusers can name, straight into memory for
// secrets, and stay there until the transaction ends: they are never in a setting, a log or shared memory.
#pragma once

#include "pg/pg.h"

namespace raxx {

// Read at the first call in a transaction, so that a reload or a rotation takes effect at the next one; wiped and
// freed when the transaction ends. Raises object_not_in_prerequisite_state (55000) where neither
// raxx_detect.key_file nor raxx_detect.key_command is set; never shows anything of what it read.
const KeyRing* load_key_ring();

void define_chain_key_settings();

}  // namespace raxx
