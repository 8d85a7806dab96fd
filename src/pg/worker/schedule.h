// The launcher's decisions: which databases have a slot, when their next run is due, and what an end means for it.
// Each function takes the lock itself.
#pragma once

#include "pg/worker/catalogs.h"

namespace raxx::worker {

constexpr TimestampTz kSurveyEvery = 10 * USECS_PER_SEC;      // and looks again at refused roles
constexpr TimestampTz kLookAgain = 60 * USECS_PER_SEC;        // at a database without the extension
constexpr TimestampTz kLongestBackOff = 300 * USECS_PER_SEC;  // unless the interval is longer
constexpr TimestampTz kPatience = USECS_PER_SEC;              // with a database that is not free, and with a run

// Gives each enabled database a slot with its settings, and frees those that no database needs any more.
void synchronise(const Candidate* candidates, int count, TimestampTz now);

// After a restart of the launcher: what was asked for and is not there yet is forgotten.
void forget_starts();

// After a reload: everything that waits because something was wrong is tried at once.
void try_again(TimestampTz now);

// Draws the conclusion from the slot's outcome, if its worker is gone; `never_came`: it never was there.
void conclude(int slot, bool never_came, TimestampTz now);

// The slot that has been due for longest, or -1.
int due_slot(TimestampTz now);

// Puts off a slot's run.
void postpone(int slot, TimestampTz until);

// Notes why the slot's runs cannot be started, and says so when that is new.
void refuse(int slot, Result reason, TimestampTz now);

}  // namespace raxx::worker
