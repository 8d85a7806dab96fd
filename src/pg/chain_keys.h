// The keys of hash chains come from a file or a command that only superusers can name, straight into memory for
// secrets, and stay there for as long as the caller's memory context: they are never in a setting, a log or shared
// memory.
#pragma once

#include "pg/pg.h"

namespace raxx {

// Read anew at each call, so that a reload or a rotation takes effect at the next; wiped and freed with the current
// memory context. Raises object_not_in_prerequisite_state (55000) where neither raxx_detect.key_file nor
// raxx_detect.key_command is set; never shows anything of what it read.
KeyRing* load_key_ring();

void define_chain_key_settings();

}  // namespace raxx
