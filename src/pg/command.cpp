// A process group and two pipes. Whatever ends the wait, an error, a cancel or the end of this process, ends the
// group.
#include "pg/command.h"

extern "C" {
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"
}

namespace raxx {
namespace {

constexpr int kStandardInput = 0;
constexpr int kStandardOutput = 1;
constexpr int kStandardError = 2;
constexpr int kPipes = 2;
constexpr long kFirstNap = 1;  // ms, while a process that has no more to say ends
constexpr long kLongestNap = 50;

// A command under way. What is not there is -1.
struct Process {
    pid_t pid;
    int input[2];
    int output[2];
    int reserved;  // file descriptors that fd.c knows of
    TimestampTz deadline;
};

void close_end(int* end) {
    if (*end >= 0) (void)close(*end);
    *end = -1;
}

// Whatever is left of it goes: processes of its group, pipes. As errors and the end of this process call it.
void clean_up(int /*code*/, Datum argument) {
    auto* process = reinterpret_cast<Process*>(DatumGetPointer(argument));
    if (process->pid > 0) {
        (void)kill(-process->pid, SIGKILL);
        while (waitpid(process->pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        process->pid = -1;
    }
    for (int i = 0; i < 2; ++i) {
        close_end(&process->input[i]);
        close_end(&process->output[i]);
    }
    for (; process->reserved > 0; --process->reserved) ReleaseExternalFD();
}

[[noreturn]] void fail_to_start(const Command& command, int error) {
    errno = error;
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not run %s: %m", command.setting)));
    pg_unreachable();
}

void open_pipes(Process* process, const Command& command) {
    for (int i = 0; i < kPipes; ++i) {
        if (!AcquireExternalFD()) fail_to_start(command, errno);
        ++process->reserved;
    }
    if (pipe2(process->input, O_CLOEXEC) != 0 || pipe2(process->output, O_CLOEXEC) != 0)
        fail_to_start(command, errno);
    // It is there before anybody reads, so nobody has to wait, and nobody is gone yet.
    const uint32_t size = command.input.size;
    if (size > kMostCommandInput) elog(ERROR, "the input of %s is too long", command.setting);
    if (size > 0 && write(process->input[1], command.input.data, size) != static_cast<ssize_t>(size))
        fail_to_start(command, errno);
    close_end(&process->input[1]);
}

// 0, or why not. Between the creation of what has to be destroyed and its end nothing raises an error.
int spawn(Process* process, const Command& command) {
    char shell[] = "sh";
    char option[] = "-c";
    char* arguments[] = {shell, option, const_cast<char*>(command.text), nullptr};
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    sigset_t none;
    sigset_t all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int error = posix_spawnattr_init(&attributes);
    if (error != 0) return error;
    (void)posix_spawnattr_setflags(
        &attributes, static_cast<short>(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    error = posix_spawn_file_actions_init(&files);
    if (error == 0) {
        const auto open_null = [&](int number) {
            return posix_spawn_file_actions_addopen(&files, number, "/dev/null", O_RDWR, 0);
        };
        error = posix_spawn_file_actions_adddup2(&files, process->input[0], kStandardInput);
        if (error == 0) {
            error = command.output == nullptr
                        ? open_null(kStandardOutput)
                        : posix_spawn_file_actions_adddup2(&files, process->output[1], kStandardOutput);
        }
        if (error == 0 && command.quiet) error = open_null(kStandardError);
        // Not all files of the server are closed on exec.
        if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(&files, kStandardError + 1);
        if (error == 0) error = posix_spawn(&process->pid, "/bin/sh", &files, &attributes, arguments, environ);
        if (error != 0) process->pid = -1;
        (void)posix_spawn_file_actions_destroy(&files);
    }
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

[[noreturn]] void raise_timeout(const Command& command) {
    ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION), errmsg("%s took too long", command.setting),
                    errdetail("It was ended after %d seconds.", command.timeout_s),
                    errhint("See why it hangs, or set %s higher.", command.timeout_setting)));
    pg_unreachable();
}

// Until there may be something to read (fd of -1: nothing is), at most so many milliseconds. Raises an error when
// the statement is cancelled or the time is up.
void wait_for(Process* process, const Command& command, int fd, long nap) {
    const long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), process->deadline);
    if (left <= 0) raise_timeout(command);
    const int events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | (fd >= 0 ? WL_SOCKET_READABLE : 0);
    const int happened =
        WaitLatchOrSocket(MyLatch, events, fd >= 0 ? fd : PGINVALID_SOCKET, Min(left, nap), PG_WAIT_EXTENSION);
    if ((happened & WL_LATCH_SET) != 0) ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

[[noreturn]] void raise_too_much(const Command& command) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("%s gave too much output", command.setting),
                    errdetail("It may give %zu bytes.", command.most_output),
                    errhint("Have it give what is asked for, and nothing else.")));
    pg_unreachable();
}

[[noreturn]] void fail_to_read(const Command& command) {
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not read the output of %s: %m", command.setting)));
    pg_unreachable();
}

size_t read_output(Process* process, const Command& command) {
    size_t size = 0;
    while (command.output != nullptr) {
        // When there is no room left, one byte more tells whether it ends there.
        unsigned char extra = 0;
        const bool full = size == command.most_output;
        const ssize_t got = read(process->output[0], full ? &extra : command.output + size,
                                 full ? sizeof extra : command.most_output - size);
        if (got == 0) break;
        if (got > 0) {
            if (full) raise_too_much(command);
            size += static_cast<size_t>(got);
        } else if (errno == EAGAIN) {
            wait_for(process, command, process->output[0], command.timeout_s * 1000L);
        } else if (errno != EINTR) {
            fail_to_read(command);
        }
    }
    return size;
}

// How it ended. A process that has closed its output may go on for a while.
int wait_for_end(Process* process, const Command& command) {
    for (long nap = kFirstNap;; nap = Min(2 * nap, kLongestNap)) {
        int status = 0;
        const pid_t ended = waitpid(process->pid, &status, WNOHANG);
        if (ended == process->pid) {
            process->pid = -1;
            return status;
        }
        if (ended < 0 && errno != EINTR) {
            process->pid = -1;
            elog(ERROR, "could not wait for %s: %m", command.setting);
        }
        wait_for(process, command, -1, nap);
    }
}

[[gnu::noinline]] size_t run(Process* process, const Command& command) {
    open_pipes(process, command);
    const int error = spawn(process, command);
    if (error != 0) fail_to_start(command, error);
    process->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), command.timeout_s * INT64CONST(1000));
    close_end(&process->input[0]);
    close_end(&process->output[1]);
    if (fcntl(process->output[0], F_SETFL, O_NONBLOCK) != 0) fail_to_start(command, errno);
    const size_t size = read_output(process, command);
    const int status = wait_for_end(process, command);
    if (status != 0) {
        ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION), errmsg("%s failed", command.setting),
                        errdetail("%s.", wait_result_to_str(status)),
                        errhint("Run the command by hand, as the server's user and in its data directory.")));
    }
    return size;
}

}  // namespace

size_t run_command(const Command& command) {
    Process process = {-1, {-1, -1}, {-1, -1}, 0, 0};
    volatile size_t size = 0;
    // Also when the process ends, which no PG_CATCH sees.
    PG_ENSURE_ERROR_CLEANUP(clean_up, PointerGetDatum(&process));
    { size = run(&process, command); }
    PG_END_ENSURE_ERROR_CLEANUP(clean_up, PointerGetDatum(&process));
    clean_up(0, PointerGetDatum(&process));
    return size;
}

}  // namespace raxx
