#include "pg/seed.h"

extern "C" {
#include "common/pg_prng.h"
}

namespace raxx {

uint64_t hash_seed() {
    static uint64_t seed = 0;
    if (seed == 0 && !pg_strong_random(&seed, sizeof seed)) seed = pg_prng_uint64(&pg_global_prng_state);
    return seed;
}

}  // namespace raxx
