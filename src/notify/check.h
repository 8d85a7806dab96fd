// `raxx-notify check`: says, without sending or changing anything, whether it would work.
#pragma once

#include "notify/service.h"

namespace raxx::notify {

// 0: everything is well; 1: something is not.
int check(const Options& options);

}  // namespace raxx::notify
