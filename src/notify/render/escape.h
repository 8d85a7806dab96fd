// Hostile texts made harmless: first cleaned and bounded as they are read from a payload, then escaped for the
// place where they go.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace raxx::notify {

// Valid UTF-8 on one line: line breaks and tabs are blanks; other control characters, what turns the direction of
// writing or cannot be seen, and bytes that are not UTF-8 are question marks; what is beyond the limit, in
// characters, is cut and ends in "...".
[[nodiscard]] std::string one_line(std::string_view text, size_t limit);
// The lines that are not blank, each as one_line makes it.
[[nodiscard]] std::vector<std::string> lines_of(std::string_view text, size_t limit, size_t at_most);

// Of a clean text.
[[nodiscard]] size_t characters(std::string_view text);
// Cut to so many characters, the last three of which are then dots.
[[nodiscard]] std::string clip(std::string_view text, size_t limit);
// Broken at blanks into lines of at most so many characters where the words allow it.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, size_t columns);

// For an element's text and for an attribute in double quotes.
[[nodiscard]] std::string html_text(std::string_view text);
// For running text: no character of it is markup.
[[nodiscard]] std::string markdown_text(std::string_view text);
// For a text of Slack's: neither a link nor a mention.
[[nodiscard]] std::string slack_text(std::string_view text);
// Whether a message may make it a link.
[[nodiscard]] bool is_web_address(std::string_view text);

}  // namespace raxx::notify
