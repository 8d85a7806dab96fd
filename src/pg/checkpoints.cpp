// What comes from outside, a line or a command's output, is taken for nothing until it is parsed.
#include "pg/checkpoints.h"

#include "pg/bytes.h"
#include "pg/chain_keys.h"
#include "pg/command.h"
#include "pg/errors.h"
#include "pg/results.h"

extern "C" {
#include "utils/uuid.h"
}

namespace raxx {
namespace {

constexpr int kMostKept = 10'000;  // lines
constexpr const char* kTimeoutSetting = "raxx_detect.checkpoint_command_timeout";

char* checkpoint_command = nullptr;
char* checkpoint_source_command = nullptr;
int checkpoint_timeout_s = 30;

bool is_set(const char* setting) { return setting != nullptr && setting[0] != '\0'; }

void set_mac(Checkpoint* checkpoint, FunctionCallInfo fcinfo, int number) {
    require_argument(fcinfo, number, "mac");
    const Bytes mac = bytes_of_datum(PG_GETARG_DATUM(number));
    if (mac.size != kMacSize) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("mac must have %u bytes", kMacSize),
                        errdetail("It has %u.", mac.size), errhint("Give the mac of the chain's entry seq.")));
    }
    memcpy(checkpoint->mac, mac.data, kMacSize);
}

void set_key_id(Checkpoint* checkpoint, FunctionCallInfo fcinfo, int number) {
    if (PG_ARGISNULL(number)) return;
    const Bytes id = bytes_of_datum(PG_GETARG_DATUM(number));
    if (id.size == 0 || id.size >= sizeof checkpoint->key_id) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("key_id must have 1 to 64 characters"),
                        errdetail("It has %u bytes.", id.size),
                        errhint("raxx_detect.chain_keys() lists the keys there are.")));
    }
    memcpy(checkpoint->key_id, id.data, id.size);
}

const char* verdict_word(CheckpointVerdict verdict) {
    switch (verdict) {
        case CheckpointVerdict::valid:
            return "valid";
        case CheckpointVerdict::invalid:
            return "invalid";
        case CheckpointVerdict::unknown_key:
            return "unknown key";
        case CheckpointVerdict::malformed:
            break;
    }
    return "malformed";
}

// Somebody else keeps the lines, so one may hold anything: what is not printable ASCII becomes a question mark, and
// what is longer than a checkpoint is cut, neither of which makes a checkpoint of it.
text* line_text(const unsigned char* line, size_t size) {
    text* result = cstring_to_text_with_len(reinterpret_cast<const char*>(line),
                                            static_cast<int>(Min(size, static_cast<size_t>(kCheckpointLimit))));
    char* characters = VARDATA(result);
    for (size_t i = 0; i < VARSIZE_ANY_EXHDR(result); ++i) {
        if (characters[i] < ' ' || characters[i] > '~') characters[i] = '?';
    }
    return result;
}

void put_lines(ReturnSetInfo* result, const unsigned char* output, size_t size) {
    int lines = 0;
    for (size_t begin = 0; begin < size;) {
        const auto* end = static_cast<const unsigned char*>(memchr(output + begin, '\n', size - begin));
        const size_t length = (end == nullptr ? size : static_cast<size_t>(end - output)) - begin;
        const size_t shown = length > 0 && output[begin + length - 1] == '\r' ? length - 1 : length;
        if (shown > 0 && ++lines > kMostKept) {
            ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                            errmsg("raxx_detect.checkpoint_source_command gave too many lines"),
                            errdetail("It may give %d.", kMostKept), errhint("Have it give the newest ones.")));
        }
        if (shown > 0) {
            Datum value = PointerGetDatum(line_text(output + begin, shown));
            bool null = false;
            tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
        }
        begin += length + 1;
    }
}

}  // namespace

void define_checkpoint_settings() {
    DefineCustomStringVariable(
        "raxx_detect.checkpoint_command", "Shell command that keeps a checkpoint outside the database.",
        "It gets the checkpoint's line on its standard input, and ends with 0 once it is kept.",
        &checkpoint_command, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
    DefineCustomStringVariable("raxx_detect.checkpoint_source_command",
                               "Shell command that prints the checkpoints that were kept.",
                               "A line each, at most 10,000 of them.", &checkpoint_source_command, "", PGC_SIGHUP,
                               GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
    DefineCustomIntVariable(
        kTimeoutSetting, "Time that raxx_detect.checkpoint_command and checkpoint_source_command may take.",
        nullptr, &checkpoint_timeout_s, 30, 1, 3600, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
}

}  // namespace raxx

using namespace raxx;

// sign_checkpoint(chain uuid, number bigint, seq bigint, mac bytea, made_at timestamptz, key_id text)
RAXX_FUNCTION(raxx_sign_checkpoint) {
    Checkpoint checkpoint = {};
    require_argument(fcinfo, 0, "chain");
    require_argument(fcinfo, 1, "number");
    require_argument(fcinfo, 2, "seq");
    memcpy(checkpoint.chain, PG_GETARG_UUID_P(0)->data, kChainIdSize);
    checkpoint.number = PG_GETARG_INT64(1);
    checkpoint.seq = PG_GETARG_INT64(2);
    set_mac(&checkpoint, fcinfo, 3);
    require_argument(fcinfo, 4, "made_at");
    checkpoint.made_at = PG_GETARG_TIMESTAMPTZ(4);
    set_key_id(&checkpoint, fcinfo, 5);
    char line[kCheckpointLimit];
    Error error;
    check(checkpoint_sign(load_key_ring(), checkpoint, line, &error), error);
    return CStringGetTextDatum(line);
}

RAXX_FUNCTION(raxx_checkpoint_verdict) {
    CheckpointVerdict verdict = CheckpointVerdict::malformed;
    Error error;
    check(checkpoint_verify(load_key_ring(), bytes_of_datum(PG_GETARG_DATUM(0)), &verdict, &error), error);
    return CStringGetTextDatum(verdict_word(verdict));
}

RAXX_FUNCTION(raxx_parse_checkpoint) {
    Checkpoint checkpoint = {};
    Error error;
    check(checkpoint_parse(bytes_of_datum(PG_GETARG_DATUM(0)), &checkpoint, &error), error);
    auto* chain = static_cast<pg_uuid_t*>(palloc(sizeof(pg_uuid_t)));
    memcpy(chain->data, checkpoint.chain, kChainIdSize);
    text* mac = cstring_to_text_with_len(reinterpret_cast<const char*>(checkpoint.mac), kMacSize);
    Datum values[] = {
        UUIDPGetDatum(chain), Int64GetDatum(checkpoint.number),        Int64GetDatum(checkpoint.seq),
        PointerGetDatum(mac), TimestampTzGetDatum(checkpoint.made_at), CStringGetTextDatum(checkpoint.key_id)};
    bool nulls[6] = {};
    return return_row(fcinfo, values, nulls);
}

RAXX_FUNCTION(raxx_deliver_checkpoint) {
    const Bytes line = bytes_of_datum(PG_GETARG_DATUM(0));
    Checkpoint checkpoint = {};
    Error error;
    check(checkpoint_parse(line, &checkpoint, &error), error);
    if (!is_set(checkpoint_command)) PG_RETURN_BOOL(false);
    auto* input = static_cast<unsigned char*>(palloc(line.size + 1));
    memcpy(input, line.data, line.size);
    input[line.size] = '\n';
    Command command = {};
    command.setting = "raxx_detect.checkpoint_command";
    command.text = checkpoint_command;
    command.timeout_setting = kTimeoutSetting;
    command.timeout_s = checkpoint_timeout_s;
    command.input = {input, line.size + 1};
    (void)run_command(command);
    PG_RETURN_BOOL(true);
}

RAXX_FUNCTION(raxx_kept_checkpoints) {
    ReturnSetInfo* result = start_values(fcinfo);
    if (!is_set(checkpoint_source_command)) {
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("nobody tells which checkpoints were kept"),
             errdetail("raxx_detect.checkpoint_source_command is not set."),
             errhint("Set it in postgresql.conf to a command that prints them, and reload the configuration.")));
    }
    Command command = {};
    command.setting = "raxx_detect.checkpoint_source_command";
    command.text = checkpoint_source_command;
    command.timeout_setting = kTimeoutSetting;
    command.timeout_s = checkpoint_timeout_s;
    command.most_output = static_cast<size_t>(kMostKept) * kCheckpointLimit;
    command.output = static_cast<unsigned char*>(palloc(command.most_output));
    const size_t size = run_command(command);
    put_lines(result, command.output, size);
    return Datum{0};
}
