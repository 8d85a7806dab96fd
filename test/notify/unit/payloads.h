// Payloads as files, and golden outputs. With RAXX_WRITE_GOLDEN set, golden files are written instead of compared.
#pragma once

#include <string>

#include "notify/render/render.h"

namespace raxx::notify {

inline const std::string kNotifyDir = std::string(RAXX_TEST_DIR) + "/notify";

[[nodiscard]] std::string file_text(const std::string& path);
[[nodiscard]] json payload(const std::string& name);
// Names of all payload files, without the ending, sorted.
[[nodiscard]] std::vector<std::string> payload_names();
void expect_golden(const std::string& file, const std::string& text);

}  // namespace raxx::notify
