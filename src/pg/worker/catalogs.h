// What a process without a database can know of databases and roles: pg_database and pg_authid are always open to
// it. All of it needs a transaction.
#pragma once

#include "pg/worker/shared.h"

namespace raxx::worker {

struct Candidate {
    Oid database;
    NameData name;
};

// The databases that one may connect to and that are no templates, by OID; their number.
int read_databases(Candidate** found);

// Whether nobody holds the database for himself, or waits until he may (DROP, RENAME, TEMPLATE): whoever connects
// now would wait.
bool is_free(Oid database);

// The role of that name, and Result::ok if runs may use it, or why not.
Result find_role(const char* name, Oid* role);

}  // namespace raxx::worker
