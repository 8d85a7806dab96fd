// What keys the hash tables of this session.
#pragma once

#include "pg/pg.h"

namespace raxx {

// The same for the whole session, and not to be guessed by those who choose what is hashed.
uint64_t hash_seed();

}  // namespace raxx
