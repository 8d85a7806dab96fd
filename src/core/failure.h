// How the core fails: it throws a Failure (or the library throws something), and guarded() turns that into a Status
// and an Error at the boundary, so that SQLSTATE, DETAIL and HINT reach the user.
#pragma once

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include "core/fence.h"

namespace raxx {

namespace sqlstate {
constexpr const char* kInvalidParameter = "22023";  // invalid_parameter_value
constexpr const char* kOutOfRange = "22003";        // numeric_value_out_of_range
constexpr const char* kInvalidText = "22P02";       // invalid_text_representation
constexpr const char* kInvalidBinary = "22P03";     // invalid_binary_representation
constexpr const char* kOutOfMemory = "53200";       // out_of_memory
constexpr const char* kLimitExceeded = "54000";     // program_limit_exceeded
constexpr const char* kUndefinedObject = "42704";   // undefined_object
constexpr const char* kConfigFileError = "F0000";   // config_file_error
constexpr const char* kInternal = "XX000";          // internal_error
}  // namespace sqlstate

struct Failure {
    const char* sqlstate;
    std::string message;
    std::string detail;
    std::string hint;
};

// Thrown when the caller's stop function says so.
struct Stopped {};

inline void fill(Error* error, const char* sqlstate, const char* message, const char* detail, const char* hint) {
    std::snprintf(error->sqlstate, sizeof error->sqlstate, "%s", sqlstate);
    std::snprintf(error->message, sizeof error->message, "%s", message);
    std::snprintf(error->detail, sizeof error->detail, "%s", detail);
    std::snprintf(error->hint, sizeof error->hint, "%s", hint);
}

// Runs the work, which returns a Status, and lets no exception pass.
template <class Work>
Status guarded(Error* error, Work&& work) noexcept {
    try {
        return std::forward<Work>(work)();
    } catch (const Failure& failure) {
        fill(error, failure.sqlstate, failure.message.c_str(), failure.detail.c_str(), failure.hint.c_str());
    } catch (const Stopped&) {
        return Status::stopped;
    } catch (const std::bad_alloc&) {
        fill(error, sqlstate::kOutOfMemory, "out of memory", "The evaluation could not allocate memory.",
             "Shorten the window or the time range.");
    } catch (const std::exception& exception) {
        fill(error, sqlstate::kInternal, "unexpected error in the evaluation", exception.what(), "");
    } catch (...) {
        fill(error, sqlstate::kInternal, "unexpected error in the evaluation", "", "");
    }
    return Status::failed;
}

}  // namespace raxx
