// The core's side of the fence: included by every header of src/core. The core knows nothing of Postgres, so that
// it can be tested, fuzzed and measured without a server, and so that no ereport can jump over its destructors.
//
// The fence is also in the compiler's flags: the core is compiled without Postgres's include path, src/pg without
// the C++ library's (-nostdinc++). test/fence proves that crossing it does not compile.
#pragma once

#ifdef POSTGRES_H
#error "src/core is Postgres-free: include boundary.h instead of a header of the core"
#endif

#define RAXX_INSIDE_CORE 1

#include "boundary.h"
