// Mail: libcurl's SMTP, with STARTTLS required unless the configuration says otherwise. A message is plain text and
// HTML with its pictures inside; its Message-ID comes from the idempotency key, and later messages of a finding are
// answers to the first.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "notify/curl_handle.h"
#include "notify/log.h"
#include "notify/render/render.h"
#include "notify/sinks/mail_message.h"
#include "notify/sinks/sink.h"

namespace raxx::notify {
namespace {

struct FreeMime {
    void operator()(curl_mime* mime) const { curl_mime_free(mime); }
};
using CurlMime = std::unique_ptr<curl_mime, FreeMime>;

void insist(CURLcode code) {
    if (code != CURLE_OK) throw std::bad_alloc();
}

CurlMime new_mime(CURL* curl) {
    CurlMime mime(curl_mime_init(curl));
    if (mime == nullptr) throw std::bad_alloc();
    return mime;
}

curl_mimepart* add_part(const CurlMime& mime) {
    curl_mimepart* part = curl_mime_addpart(mime.get());
    if (part == nullptr) throw std::bad_alloc();
    return part;
}

void add_text(const CurlMime& mime, const char* type, std::string_view text) {
    curl_mimepart* part = add_part(mime);
    const std::string lines = with_crlf(text);
    insist(curl_mime_data(part, lines.data(), lines.size()));
    insist(curl_mime_type(part, type));
    insist(curl_mime_encoder(part, "quoted-printable"));
}

void add_picture(const CurlMime& mime, const Picture& picture) {
    std::string id = picture.content_id;
    std::erase_if(id, [](char c) { return c <= ' ' || c > '~' || c == '<' || c == '>' || c == '"'; });
    curl_mimepart* part = add_part(mime);
    insist(curl_mime_data(part, picture.png.data(), picture.png.size()));
    insist(curl_mime_type(part, "image/png"));
    insist(curl_mime_encoder(part, "base64"));
    CurlList headers;
    append(&headers, fmt::format("Content-ID: <{}>", id));
    append(&headers, fmt::format(R"(Content-Disposition: inline; filename="{}.png")", id.substr(0, id.find('@'))));
    insist(curl_mime_headers(part, headers.release(), 1));
}

void add_subparts(const CurlMime& mime, const char* type, CurlMime parts) {
    curl_mimepart* part = add_part(mime);
    insist(curl_mime_subparts(part, parts.get()));
    (void)parts.release();
    insist(curl_mime_type(part, type));
}

// text, or else HTML with its pictures.
CurlMime body_of(CURL* curl, const Mail& content) {
    CurlMime alternative = new_mime(curl);
    add_text(alternative, "text/plain; charset=utf-8", content.text);
    if (content.pictures.empty()) {
        add_text(alternative, "text/html; charset=utf-8", content.html);
        return alternative;
    }
    CurlMime related = new_mime(curl);
    add_text(related, "text/html; charset=utf-8", content.html);
    for (const Picture& picture : content.pictures) add_picture(related, picture);
    add_subparts(alternative, R"(multipart/related; type="text/html")", std::move(related));
    return alternative;
}

size_t on_reply(char* data, size_t size, size_t count, void* context) {
    auto* transfer = static_cast<MailTransfer*>(context);
    const std::string_view reply(data, size * count);
    // To QUIT, by which libcurl ends a session also after a refusal.
    if (reply.starts_with("221")) return size * count;
    transfer->reply = reply;
    if (transfer->reply.starts_with("354")) transfer->data_started = true;
    return size * count;
}

class MailSink : public Sink {
  public:
    MailSink(const MailSettings& settings, const NetworkSettings& network)
        : settings_(settings), network_(network) {}

    Outcome send(const Delivery& delivery) override {
        const std::string to = recipient(settings_, delivery.address);
        if (to.empty()) return Outcome::refused("the channel's address is not that of a mailbox");
        const Mail content = mail(delivery.payload, delivery.possible_repeat);
        const std::string id = message_id(delivery.key, settings_.domain);
        MailTransfer transfer;
        const CurlHandle handle = new_session(&transfer);
        const CurlMime mime = body_of(handle.get(), content);
        const CurlList headers = headers_of(delivery, content.subject, to, id);
        CurlList recipients;
        append(&recipients, "<" + to + ">");
        insist(curl_easy_setopt(handle.get(), CURLOPT_MAIL_FROM, ("<" + settings_.from + ">").c_str()));
        insist(curl_easy_setopt(handle.get(), CURLOPT_MAIL_RCPT, recipients.get()));
        insist(curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers.get()));
        insist(curl_easy_setopt(handle.get(), CURLOPT_MIMEPOST, mime.get()));
        perform(handle.get(), &transfer);
        Outcome outcome = judge_mail(transfer);
        if (outcome.delivered) outcome.provider = {{"message_id", id}};
        return outcome;
    }

    [[nodiscard]] std::string check(const std::string& address) override {
        if (recipient(settings_, address).empty()) return "its address is not that of a mailbox";
        MailTransfer transfer;
        const CurlHandle handle = new_session(&transfer);
        insist(curl_easy_setopt(handle.get(), CURLOPT_NOBODY, 1L));
        insist(curl_easy_setopt(handle.get(), CURLOPT_CUSTOMREQUEST, "NOOP"));
        perform(handle.get(), &transfer);
        return judge_mail(transfer).error;
    }

  private:
    CurlHandle new_session(MailTransfer* transfer) const {
        CurlHandle handle = new_curl(network_, "smtp,smtps");
        CURL* curl = handle.get();
        const char* scheme = settings_.tls == MailTls::tls ? "smtps" : "smtp";
        insist(curl_easy_setopt(curl, CURLOPT_URL,
                                fmt::format("{}://{}:{}", scheme, settings_.host, settings_.port).c_str()));
        curl_easy_setopt(curl, CURLOPT_USE_SSL,
                         static_cast<long>(settings_.tls == MailTls::none ? CURLUSESSL_NONE : CURLUSESSL_ALL));
        if (!settings_.user.empty()) {
            insist(curl_easy_setopt(curl, CURLOPT_USERNAME, settings_.user.c_str()));
            insist(curl_easy_setopt(curl, CURLOPT_PASSWORD, std::string(settings_.password.reveal()).c_str()));
        }
        curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &on_reply);
        curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
        return handle;
    }

    [[nodiscard]] CurlList headers_of(const Delivery& delivery, const std::string& subject, const std::string& to,
                                      const std::string& id) const {
        CurlList headers;
        append(&headers, "Content-Type: multipart/alternative");
        append(&headers, "Date: " + header_date(std::time(nullptr)));
        append(&headers, fmt::format("From: {} <{}>", quoted_name(), settings_.from));
        append(&headers, fmt::format("To: <{}>", to));
        append(&headers, "Subject: " + header_text(subject));
        append(&headers, "Message-ID: " + id);
        const std::string first = delivery.thread.is_object() ? delivery.thread.value("message_id", "") : "";
        if (is_message_id(first)) {
            append(&headers, "In-Reply-To: " + first);
            append(&headers, "References: " + first);
        }
        append(&headers, "Auto-Submitted: auto-generated");
        append(&headers, "X-Auto-Response-Suppress: All");
        if (delivery.severity == "critical") append(&headers, "Importance: high");
        return headers;
    }

    [[nodiscard]] std::string quoted_name() const {
        const std::string& name = settings_.from_name;
        const bool plain = std::all_of(name.begin(), name.end(),
                                       [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
        return plain ? fmt::format(R"("{}")", name) : header_text(name);
    }

    static void perform(CURL* curl, MailTransfer* transfer) {
        char error[CURL_ERROR_SIZE] = "";
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
        const CURLcode code = curl_easy_perform(curl);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
        transfer->ok = code == CURLE_OK;
        transfer->login_denied = code == CURLE_LOGIN_DENIED;
        transfer->tls_failed = code == CURLE_USE_SSL_FAILED || code == CURLE_PEER_FAILED_VERIFICATION ||
                               code == CURLE_SSL_CONNECT_ERROR || code == CURLE_SSL_CACERT_BADFILE;
        if (!transfer->ok) transfer->error = printable(*error != '\0' ? error : curl_easy_strerror(code));
    }

    MailSettings settings_;
    NetworkSettings network_;
};

}  // namespace

std::unique_ptr<Sink> make_mail(const MailSettings& settings, const NetworkSettings& network) {
    return std::make_unique<MailSink>(settings, network);
}

}  // namespace raxx::notify
