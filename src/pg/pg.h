// The server's side of the fence: every file of src/pg includes this first, and gets Postgres from here.
//
// An ereport() jumps over destructors, so nothing in src/pg may have one: these files are compiled without the C++
// library (-nostdinc++) and without exceptions, and what lives on the C++ heap is an opaque Evaluation that a
// memory-context callback frees (see evaluate.cpp). C++ never calls Postgres.
#pragma once

#ifdef RAXX_INSIDE_CORE
#error "src/pg sees the core through boundary.h only: do not include a header of src/core"
#endif

extern "C" {
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tupdesc.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
}

#include "boundary.h"

// Defines the C entry point of an SQL function.
#define RAXX_FUNCTION(name)                                              \
    extern "C" {                                                         \
    __attribute__((visibility("default"))) Datum name(PG_FUNCTION_ARGS); \
    PG_FUNCTION_INFO_V1(name);                                           \
    }                                                                    \
    Datum name([[maybe_unused]] FunctionCallInfo fcinfo)
