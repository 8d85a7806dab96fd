#include "pg/worker/shared.h"

extern "C" {
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
}

namespace raxx::worker {
namespace {

constexpr const char* kName = "raxx_detect";
Shared* state = nullptr;
LWLock* lock = nullptr;
shmem_request_hook_type previous_request = nullptr;
shmem_startup_hook_type previous_startup = nullptr;

void request() {
    if (previous_request != nullptr) previous_request();
    RequestAddinShmemSpace(MAXALIGN(sizeof(Shared)));
    RequestNamedLWLockTranche(kName, 1);
}

// Also after a crash, when the server begins anew.
void start_up() {
    if (previous_startup != nullptr) previous_startup();
    bool found = false;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    state = static_cast<Shared*>(ShmemInitStruct(kName, sizeof(Shared), &found));
    lock = &GetNamedLWLockTranche(kName)->lock;
    if (!found) memset(state, 0, sizeof *state);
    LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void request_shared() {
    previous_request = shmem_request_hook;
    shmem_request_hook = request;
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = start_up;
}

Shared* shared() { return state; }

LWLock* shared_lock() { return lock; }

void wake_launcher() {
    if (state->launcher != nullptr) SetLatch(&state->launcher->procLatch);
}

}  // namespace raxx::worker
