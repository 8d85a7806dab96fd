// `raxx-notify render`: a payload from a file, as it would be sent.
#pragma once

#include <string>

namespace raxx::notify {

// Writes to standard output if `output` is empty. As: text, html, mail, slack, markdown or ocsf.
int show(const std::string& file, const std::string& as, const std::string& output);

}  // namespace raxx::notify
