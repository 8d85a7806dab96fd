// Reading a key ring, and what SQL may know of it. Nothing here copies what it read.
#include "pg/chain_keys.h"

#include "pg/bytes.h"
#include "pg/command.h"
#include "pg/errors.h"
#include "pg/owned.h"
#include "pg/results.h"

extern "C" {
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"
}

namespace raxx {
namespace {

constexpr size_t kMostKeyText = size_t{1} << 20;
constexpr mode_t kGroupAndOthers = S_IRWXG | S_IRWXO;
constexpr mode_t kGroupMayChange = S_IWGRP | S_IXGRP | S_IRWXO;

char* key_command = nullptr;
char* key_file = nullptr;
int key_command_timeout_s = 10;

// That of this transaction, if it has read its keys.
KeyRing* transaction_ring = nullptr;

void free_ring(void* ring) {
    key_ring_free(static_cast<KeyRing*>(ring));
    transaction_ring = nullptr;
}

unsigned char* allocate_secret(size_t size) {
    MemoryContextCallback* callback = prepare_owned(secret_free);
    unsigned char* memory = secret_alloc(size);
    if (memory == nullptr) {
        ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
                        errdetail("There was none for keys: %zu bytes.", size)));
    }
    callback->arg = memory;
    return memory;
}

void check_kind(const struct stat& file) {
    if (!S_ISREG(file.st_mode)) {
        ereport(ERROR,
                (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("raxx_detect.key_file does not name a regular file"),
                 errhint("Keys that a program gives are read by raxx_detect.key_command.")));
    }
}

// As the server is with the private key of its certificate.
void check_permissions(const struct stat& file) {
    if (file.st_uid != geteuid() && file.st_uid != 0) {
        ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
                        errmsg("the key file must be owned by the server's user or by root"),
                        errdetail("The owner of the file that raxx_detect.key_file names has the user id %u.",
                                  static_cast<unsigned int>(file.st_uid)),
                        errhint("chown it to the server's user, and chmod it to 0600.")));
    }
    const mode_t forbidden = file.st_uid == geteuid() ? kGroupAndOthers : kGroupMayChange;
    if ((file.st_mode & forbidden) != 0) {
        ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("the key file has group or world access"),
                        errdetail("The permissions of the file that raxx_detect.key_file names are %04o.",
                                  static_cast<unsigned int>(file.st_mode & 07777U)),
                        errhint("They may be at most 0600, or 0640 if it belongs to root.")));
    }
}

[[noreturn]] void raise_file_error(const char* what) {
    ereport(ERROR,
            (errcode_for_file_access(), errmsg("could not %s the file that raxx_detect.key_file names: %m", what),
             errhint("A relative path is relative to the data directory.")));
    pg_unreachable();
}

// A file that is open; the server closes it if there is an error.
Bytes read_all(int file) {
    struct stat found = {};
    if (fstat(file, &found) != 0) raise_file_error("look at");
    check_kind(found);
    check_permissions(found);
    if (found.st_size > static_cast<off_t>(kMostKeyText)) {
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the key file is too long"),
                        errdetail("It has %lld bytes.", static_cast<long long>(found.st_size)),
                        errhint("It may have 1 MB.")));
    }
    const auto size = static_cast<size_t>(found.st_size);
    unsigned char* text = allocate_secret(size + 1);
    size_t used = 0;
    while (used < size) {
        const ssize_t got = read(file, text + used, size - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) raise_file_error("read");
        if (got == 0) break;
        used += static_cast<size_t>(got);
    }
    return {text, static_cast<uint32_t>(used)};
}

Bytes read_key_file() {
    // What is no regular file must not make anybody wait.
    const int file = OpenTransientFile(key_file, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (file < 0) raise_file_error("open");
    const Bytes text = read_all(file);
    (void)CloseTransientFile(file);
    return text;
}

Bytes read_key_command() {
    Command command = {};
    command.setting = "raxx_detect.key_command";
    command.text = key_command;
    command.timeout_setting = "raxx_detect.key_command_timeout";
    command.timeout_s = key_command_timeout_s;
    command.output = allocate_secret(kMostKeyText);
    command.most_output = kMostKeyText;
    command.quiet = true;
    return {command.output, static_cast<uint32_t>(run_command(command))};
}

Bytes read_keys() {
    const bool by_file = key_file != nullptr && key_file[0] != '\0';
    const bool by_command = key_command != nullptr && key_command[0] != '\0';
    if (by_file && by_command) {
        ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("the chain's keys come from two places"),
                        errdetail("Both raxx_detect.key_file and raxx_detect.key_command are set."),
                        errhint("Set one of them only, and reload the configuration.")));
    }
    if (!by_file && !by_command) {
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("there are no keys for hash chains"),
                 errdetail("Neither raxx_detect.key_file nor raxx_detect.key_command is set."),
                 errhint("Set one of them in postgresql.conf, and reload the configuration.")));
    }
    return by_file ? read_key_file() : read_key_command();
}

}  // namespace

const KeyRing* load_key_ring() {
    if (transaction_ring != nullptr) return transaction_ring;
    MemoryContext caller = CurrentMemoryContext;
    MemoryContextSwitchTo(TopTransactionContext);
    MemoryContextCallback* callback = prepare_owned(free_ring);
    MemoryContext reading = AllocSetContextCreate(caller, "raxx_detect keys", ALLOCSET_SMALL_SIZES);
    MemoryContextSwitchTo(reading);
    Error error;
    KeyRing* ring = key_ring_create(read_keys(), &error);
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(reading);  // which wipes the text
    transaction_ring = owned(callback, ring, error);
    return transaction_ring;
}

void define_chain_key_settings() {
    DefineCustomStringVariable(
        "raxx_detect.key_file", "File with the keys of hash chains.",
        "Lines of KIND ID HEX, as docs/operations.md has them. Read at each use, if only the "
        "server's user (0600) or root (0640) can change it.",
        &key_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
    DefineCustomStringVariable("raxx_detect.key_command", "Shell command that prints the keys of hash chains.",
                               "In place of raxx_detect.key_file: a call of a key management service, for example.",
                               &key_command, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("raxx_detect.key_command_timeout", "Time that raxx_detect.key_command may take.",
                            nullptr, &key_command_timeout_s, 10, 1, 3600, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr,
                            nullptr);
}

}  // namespace raxx

using namespace raxx;

RAXX_FUNCTION(raxx_chain_keys) {
    ReturnSetInfo* result = start_result(fcinfo);
    const KeyRing* ring = load_key_ring();
    for (uint32_t i = 0; i < key_ring_size(ring); ++i) {
        const KeyName name = key_ring_name(ring, i);
        const char* kind = name.kind == KeyKind::chain        ? "chain"
                           : name.kind == KeyKind::checkpoint ? "checkpoint"
                                                              : "checkpoint-public";
        Datum values[] = {CStringGetTextDatum(name.id), CStringGetTextDatum(kind)};
        bool nulls[] = {false, false};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return Datum{0};
}

RAXX_FUNCTION(raxx_mac_engine) {
    Error error;
    const char* name = mac_engine(&error);
    if (name == nullptr) raise(error);
    return CStringGetTextDatum(name);
}
