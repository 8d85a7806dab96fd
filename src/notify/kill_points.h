// For tests of crashes: where RAXX_NOTIFY_STOP_AT names the point that is passed (`before_send`, or `before_send:3`
// for the third time), the process kills itself with SIGKILL; with `:pause` behind that it stops itself with
// SIGSTOP. Points: after_claim, before_send, after_send, before_mark, after_mark.
#pragma once

#include <string_view>

namespace raxx::notify {

void kill_point(std::string_view name);

}  // namespace raxx::notify
