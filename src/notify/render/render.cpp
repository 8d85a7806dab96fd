#include "notify/render/render.h"

#include <nlohmann/json.hpp>

#include "notify/render/document.h"
#include "notify/render/escape.h"

namespace raxx::notify {
namespace {

constexpr size_t kSubject = 180;

}  // namespace

std::string headline(const json& payload) { return document_of(payload, Detail::brief).headline; }

std::string plain_text(const json& payload, bool possible_repeat) {
    return text_from(document_of(payload, Detail::brief), possible_repeat);
}

Mail mail(const json& payload, bool possible_repeat) {
    const Document document = document_of(payload, Detail::full);
    Mail result;
    result.subject = clip((possible_repeat ? "(possible repeat) " : "") + document.headline, kSubject);
    result.text = text_from(document, possible_repeat);
    result.html = html_from(document, possible_repeat, &result.pictures);
    return result;
}

json slack(const json& payload, bool possible_repeat) {
    return slack_from(document_of(payload, Detail::brief), possible_repeat);
}

std::string markdown(const json& payload, bool possible_repeat, const std::string& key) {
    return markdown_from(document_of(payload, Detail::brief), possible_repeat, key);
}

}  // namespace raxx::notify
