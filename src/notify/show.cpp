#include "notify/show.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "notify/log.h"
#include "notify/render/render.h"
#include "notify/sinks/mail_message.h"

namespace raxx::notify {
namespace {

constexpr const char* kKey = "00000000-0000-0000-0000-000000000000";

json payload_in(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    std::ostringstream text;
    if (!stream || !(text << stream.rdbuf())) throw std::runtime_error(file + ": cannot be read");
    json payload = json::parse(text.str(), nullptr, false);
    if (!payload.is_object()) throw std::runtime_error(file + ": is not a JSON object");
    return payload;
}

// Pictures inside, so that a browser shows them.
std::string page_of(const Mail& content) {
    std::string html = content.html;
    for (const Picture& picture : content.pictures) {
        const std::string reference = "cid:" + picture.content_id;
        const std::string data = "data:image/png;base64," + base64(picture.png);
        for (size_t at = html.find(reference); at != std::string::npos;
             at = html.find(reference, at + data.size())) {
            html.replace(at, reference.size(), data);
        }
    }
    return html;
}

std::string rendered(const json& payload, const std::string& as) {
    if (as == "html") return page_of(mail(payload, false));
    if (as == "mail") {
        const Mail content = mail(payload, false);
        return fmt::format("Subject: {}\n\n{}", content.subject, content.text);
    }
    if (as == "slack") return slack(payload, false).dump(2) + "\n";
    if (as == "markdown") return markdown(payload, false, kKey);
    if (as == "ocsf") return ocsf(payload, false, kKey).dump(2) + "\n";
    return plain_text(payload, false);
}

}  // namespace

int show(const std::string& file, const std::string& as, const std::string& output) {
    const std::string text = rendered(payload_in(file), as);
    if (output.empty())
        return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0 ? 0 : 1;
    std::ofstream stream(output, std::ios::binary);
    stream << text;
    stream.close();
    if (!stream) throw std::runtime_error(output + ": cannot be written");
    return 0;
}

}  // namespace raxx::notify
