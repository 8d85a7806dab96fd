#include "core/declared_message.h"

#include <algorithm>

#include "core/failure.h"

namespace raxx {
namespace {

constexpr size_t kLength = 4;
constexpr uint32_t kNull = UINT32_MAX;
constexpr size_t kMostMessage = INT32_MAX;

uint32_t take_length(Bytes* body) {
    if (body->size < kLength) throw Failure{sqlstate::kInternal, "the body of a row is too short", "", ""};
    uint32_t length = 0;
    for (size_t i = 0; i < kLength; ++i) length = length << 8 | body->data[i];
    *body = {body->data + kLength, body->size - static_cast<uint32_t>(kLength)};
    return length;
}

void append_length(std::string* to, uint32_t length) {
    for (int shift = 24; shift >= 0; shift -= 8) to->push_back(static_cast<char>(length >> shift));
}

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data), bytes.size}; }

}  // namespace

DeclaredMessage::DeclaredMessage(const DeclaredFormat& format) : format_(format), forms_(format.columns.size()) {
    add_parts();
    for (const Part& part : parts_) {
        if (part.kind == PlainKind::none && format_.encoding != DeclaredEncoding::canonical)
            throw Failure{sqlstate::kInvalidParameter, "a column of the chain has no text",
                          "Column " + format_.columns[part.column].name + " is of kind " +
                              format_.columns[part.column].kind + ".",
                          "The encoding canonical takes it."};
    }
    if (format_.encoding == DeclaredEncoding::json) sort_labels();
}

// The MAC before is written like a column of its own type.
void DeclaredMessage::add_parts() {
    const PlainKind kind = format_.digest == DeclaredDigest::bytes ? PlainKind::bytea : PlainKind::text;
    const Part prev = {kPrev, kind, format_.prev_name};
    if (format_.prev_position == PrevPosition::first) parts_.push_back(prev);
    for (size_t i = 0; i < format_.columns.size(); ++i)
        parts_.push_back({i, plain_kind(format_.columns[i].kind), format_.columns[i].name});
    if (format_.prev_position == PrevPosition::last) parts_.push_back(prev);
}

void DeclaredMessage::sort_labels() {
    std::ranges::sort(parts_, {}, &Part::label);
    for (Part& part : parts_) {
        std::string label(1, &part == parts_.data() ? '{' : ',');
        append_json_string(&label, part.label);
        part.label = label + ':';
    }
}

void DeclaredMessage::read(Bytes body) {
    for (std::optional<Bytes>& form : forms_) {
        const uint32_t length = take_length(&body);
        form.reset();
        if (length == kNull) continue;
        if (length > body.size) throw Failure{sqlstate::kInternal, "the body of a row is too short", "", ""};
        form = Bytes{body.data, length};
        body = {body.data + length, body.size - length};
    }
}

void DeclaredMessage::append_escaped(const std::string& text) {
    if (format_.escape.empty()) {
        message_ += text;
        return;
    }
    for (const char c : text) {
        if (c == format_.escape.front() || c == format_.separator.front()) message_ += format_.escape;
        message_ += c;
    }
}

void DeclaredMessage::append_counted(const std::optional<Bytes>& form, const Part& part) {
    if (!form) return append_length(&message_, kNull);
    if (format_.encoding == DeclaredEncoding::canonical) {
        append_length(&message_, form->size);
        message_ += text_of(*form);
        return;
    }
    text_.clear();
    append_plain(&text_, part.kind, *form, format_.timestamps);
    append_length(&message_, static_cast<uint32_t>(text_.size()));
    message_ += text_;
}

void DeclaredMessage::append(const Part& part, bool first) {
    const std::optional<Bytes> form = part.column == kPrev ? prev_ : forms_[part.column];
    switch (format_.encoding) {
        case DeclaredEncoding::separated:
            if (!first) message_ += format_.separator;
            if (!form) {
                message_ += format_.null_text;
                return;
            }
            text_.clear();
            append_plain(&text_, part.kind, *form, format_.timestamps);
            return append_escaped(text_);
        case DeclaredEncoding::json:
            message_ += part.label;
            if (!form) {
                message_ += "null";
                return;
            }
            return append_json_value(&message_, part.kind, *form, format_.timestamps);
        case DeclaredEncoding::length_prefixed:
        case DeclaredEncoding::canonical:
            return append_counted(form, part);
    }
}

Bytes DeclaredMessage::of(Bytes body, Bytes prev) {
    read(body);
    prev_ = prev;
    message_.clear();
    for (const Part& part : parts_) append(part, &part == parts_.data());
    if (format_.encoding == DeclaredEncoding::json) message_ += '}';
    if (message_.size() > kMostMessage)
        throw Failure{sqlstate::kLimitExceeded, "what the MAC of a row is made of is too long",
                      "It has " + std::to_string(message_.size()) + " bytes; the limit is 2 GB.",
                      "Declare the chain without the column that is so long."};
    return {reinterpret_cast<const unsigned char*>(message_.data()), static_cast<uint32_t>(message_.size())};
}

}  // namespace raxx
