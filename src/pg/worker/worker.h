// The background worker, as the module's start sees it.
#pragma once

namespace raxx::worker {

// Defines the settings; where the module is preloaded, also the shared memory and the launcher.
void prepare();

}  // namespace raxx::worker
