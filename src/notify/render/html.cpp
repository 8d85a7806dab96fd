// A document as a mail's HTML: tables and inline styles, which mail programs understand; no script, nothing from
// outside; at most 640 pixels wide, and readable on a phone and in the dark. The style sheet only adds to that.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "notify/render/document.h"
#include "notify/render/escape.h"

namespace raxx::notify {
namespace {

constexpr size_t kMostPictures = 20;
constexpr size_t kMostPictureBytes = 165'000;  // a third more as Base64

constexpr const char* kHead = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{}</title>
<style>
@media (prefers-color-scheme: dark) {{
.page {{ background: #14161a !important; }}
.sheet {{ background: #1e2228 !important; }}
.ink {{ color: #e4e7eb !important; }}
.quiet {{ color: #a4acb7 !important; }}
.box {{ background: #2a2f37 !important; color: #e4e7eb !important; }}
.edge {{ border-color: #3a414b !important; }}
.link {{ color: #8ab4f8 !important; }}
.picture {{ background: #ffffff !important; }}
}}
@media (max-width: 480px) {{
.pad {{ padding-left: 16px !important; padding-right: 16px !important; }}
.outer {{ padding: 0 !important; }}
.label {{ width: 84px !important; }}
}}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:#eef0f3;-webkit-text-size-adjust:100%">
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" style="background:#eef0f3"><tr><td class="outer" align="center" style="padding:16px 8px">
<!--[if mso]><table role="presentation" width="640" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->
<table role="presentation" class="sheet" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:640px;background:#ffffff;border-top:6px solid {}">
<tr><td class="pad ink" align="left" style="padding:20px 28px 28px 28px;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5;color:#1d2129;word-break:break-word;overflow-wrap:anywhere">
)";

constexpr const char* kTail = R"(</td></tr></table>
<!--[if mso]></td></tr></table><![endif]-->
</td></tr></table>
</body>
</html>
)";

constexpr const char* kInk = "#1d2129";
constexpr const char* kQuiet = "#5b6470";
constexpr const char* kCalm = "#2f6f4f";
constexpr const char* kMono = "ui-monospace,SFMono-Regular,Menlo,Consolas,monospace";

const char* colour_of(Severity severity) {
    switch (severity) {
        case Severity::critical:
            return "#a31515";
        case Severity::high:
            return "#c2410c";
        case Severity::medium:
            return "#876500";
        default:
            return "#4a5b70";
    }
}

// Long identifiers may be broken after these; what is copied does not show it.
std::string breakable(const std::string& text) {
    std::string result;
    for (const char c : html_text(text)) {
        result += c;
        if (c == '_' || c == '/') result += "<wbr>";
    }
    return result;
}

std::string badge(const std::string& text, const char* colour) {
    return fmt::format(
        "<span style=\"display:inline-block;background:{};color:#ffffff;font-size:12px;font-weight:700;"
        "letter-spacing:0.04em;line-height:1.3;padding:3px 8px;border-radius:4px\">{}</span>",
        colour, html_text(text));
}

class Writer {
  public:
    explicit Writer(std::vector<Picture>* pictures) : pictures_(pictures) {}

    std::string html;

    void operator()(const Heading& heading) {
        close_card();
        html += fmt::format(
            "<h2 class=\"ink edge\" style=\"margin:30px 0 10px 0;padding:0 0 6px 0;border-bottom:1px solid "
            "#d5d9df;font-size:17px;line-height:1.3;color:{}\">{}</h2>\n",
            kInk, html_text(heading.text));
    }

    void operator()(const Card& card) {
        close_card();
        html += fmt::format(
            "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" "
            "style=\"margin:18px 0 0 0\"><tr><td style=\"border-left:4px solid {0};padding:0 0 2px 14px\">"
            "<div class=\"ink\" style=\"font-size:16px;font-weight:700;line-height:1.35;color:{1}\">{2} "
            "<span style=\"vertical-align:middle\">{3}</span></div>\n",
            colour_of(card.severity), kInk, badge(card.badge, colour_of(card.severity)), breakable(card.title));
        in_card_ = true;
    }

    void operator()(const Paragraph& paragraph) {
        const bool lead = paragraph.weight == Weight::lead;
        const bool quiet = paragraph.weight == Weight::quiet;
        html += fmt::format(
            "<p class=\"{}\" style=\"margin:{} 0 0 0;font-size:{}px;line-height:1.45;color:{};\">{}</p>\n",
            quiet ? "quiet" : "ink", lead ? "12px" : "8px",
            lead    ? 18
            : quiet ? 13
                    : 15,
            quiet ? kQuiet : kInk, breakable(paragraph.text));
    }

    void operator()(const Facts& facts) {
        html +=
            "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" "
            "style=\"margin:12px 0 0 0\">\n";
        for (const auto& [label, value] : facts.rows)
            html += fmt::format(
                "<tr><td class=\"quiet label\" valign=\"top\" style=\"width:108px;padding:3px 10px 3px 0;"
                "font-size:14px;color:{}\">{}</td><td class=\"ink\" valign=\"top\" style=\"padding:3px 0;"
                "font-size:14px;color:{}\">{}</td></tr>\n",
                kQuiet, html_text(label), kInk, breakable(value));
        html += "</table>\n";
    }

    void operator()(const Steps& steps) {
        title(steps.title);
        const char* tag = steps.numbered ? "ol" : "ul";
        html += fmt::format(
            "<{} class=\"ink\" style=\"margin:6px 0 0 0;padding:0 0 0 24px;font-size:14px;color:{}\">\n", tag,
            kInk);
        for (const std::string& line : steps.lines)
            html += fmt::format("<li style=\"margin:0 0 5px 0\">{}</li>\n", breakable(line));
        html += fmt::format("</{}>\n", tag);
        if (!steps.more.empty()) (*this)(Paragraph{"(" + steps.more + ")", Weight::quiet});
    }

    // Each line by itself, so that a line that is broken to fit is not taken for two.
    void operator()(const Code& code) {
        title(code.title);
        for (const std::string& line : code.lines)
            html += fmt::format(
                "<pre class=\"box\" style=\"margin:6px 0 0 0;padding:8px 10px;border-radius:5px;background:"
                "#f0f2f5;color:{};font-family:{};font-size:12px;line-height:1.45;white-space:pre-wrap;\">{}</"
                "pre>\n",
                kInk, kMono, html_text(line));
    }

    void operator()(const Table& table) {
        html +=
            "<table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" style=\"margin:10px 0 0 0;"
            "border-collapse:collapse;line-height:1.4\">\n<tr>";
        for (size_t i = 0; i < table.header.size(); ++i) cell("th", table, i, html_text(table.header[i]));
        html += "</tr>\n";
        for (const std::vector<std::string>& row : table.rows) {
            html += "<tr>";
            for (size_t i = 0; i < row.size(); ++i) cell("td", table, i, breakable(row[i]));
            html += "</tr>\n";
        }
        html += "</table>\n";
        if (!table.more.empty()) (*this)(Paragraph{table.more, Weight::quiet});
    }

    void operator()(const Chart& chart) {
        if (pictures_->size() == kMostPictures || bytes_ > kMostPictureBytes) return;
        const std::string caption = caption_of(chart.series);
        std::string png;
        try {
            png = png_of(chart.series);
        } catch (const std::runtime_error& error) {
            (*this)(Paragraph{fmt::format("(The picture could not be drawn: {})", one_line(error.what(), 120)),
                              Weight::quiet});
            return;
        }
        bytes_ += png.size();
        const std::string id = fmt::format("{}.picture-{}@raxx-notify", chart.name, pictures_->size() + 1);
        html += fmt::format(
            "<img class=\"picture\" src=\"cid:{}\" width=\"{}\" alt=\"{}\" style=\"display:block;width:100%;"
            "max-width:{}px;height:auto;margin:12px 0 0 0;border:0;border-radius:4px;background:#ffffff\">\n",
            id, kChartWidth, html_text(caption), kChartWidth);
        html += fmt::format(
            "<p class=\"quiet\" style=\"margin:4px 0 0 0;font-size:12px;line-height:1.4;color:{};\">{}</p>\n",
            kQuiet, breakable(caption));
        pictures_->push_back({id, std::move(png)});
    }

    void operator()(const Link& link) {
        html += fmt::format(
            "<p style=\"margin:12px 0 0 0;font-size:14px\"><a class=\"link\" href=\"{}\" style=\"color:#1a56b0\">"
            "{}</a></p>\n",
            html_text(link.address), html_text(link.text));
    }

    void close_card() {
        if (in_card_) html += "</td></tr></table>\n";
        in_card_ = false;
    }

  private:
    void title(const std::string& text) {
        if (text.empty()) return;
        const bool sentence = text.ends_with('.');
        html += fmt::format(
            "<p class=\"{}\" style=\"margin:16px 0 0 0;font-size:14px;font-weight:{};color:{}\">{}</p>\n",
            sentence ? "quiet" : "ink", sentence ? 400 : 700, sentence ? kQuiet : kInk, html_text(text));
    }

    // Short ones stay on one line, so that a narrow column is not narrower than its words.
    void cell(const char* tag, const Table& table, size_t column, const std::string& content) {
        constexpr size_t kShortCell = 14;
        const bool header = tag == std::string_view("th");
        const bool number = std::ranges::count(table.numbers, column) != 0;
        html += fmt::format(
            "<{0} class=\"{1}edge\" align=\"{2}\" valign=\"top\" style=\"padding:5px {3} 5px 0;"
            "border-bottom:1px solid #e3e6ea;font-size:13px{4}{5}\">{6}</{0}>",
            tag, header ? "quiet " : "", number ? "right" : "left",
            column + 1 == table.header.size() ? "0" : "14px",
            header ? fmt::format(";font-weight:400;text-align:{};color:{}", number ? "right" : "left", kQuiet) : "",
            content.size() <= kShortCell ? ";white-space:nowrap" : "", content);
    }

    std::vector<Picture>* pictures_;
    size_t bytes_ = 0;
    bool in_card_ = false;
};

}  // namespace

std::string html_from(const Document& document, bool possible_repeat, std::vector<Picture>* pictures) {
    const char* colour = document.over ? kCalm : colour_of(document.severity);
    Writer writer(pictures);
    writer.html = fmt::format(fmt::runtime(kHead), html_text(document.headline), colour);
    writer.html += fmt::format(
        "<div>{}</div>\n<h1 class=\"ink\" style=\"margin:10px 0 0 0;font-size:21px;line-height:1.3;color:"
        "{}\">{}</h1>\n",
        badge(document.badge, colour), kInk, breakable(document.title));
    if (possible_repeat) writer(Paragraph{kPossibleRepeat, Weight::quiet});
    for (const Block& block : document.blocks) std::visit(writer, block);
    writer.close_card();
    if (!document.reference.empty()) {
        writer.html += fmt::format(
            "<p class=\"quiet edge\" style=\"margin:24px 0 0 0;padding:10px 0 0 0;border-top:1px solid "
            "#d5d9df;font-size:12px;color:{}\">{}</p>\n",
            kQuiet, breakable(document.reference));
    }
    writer.html += kTail;
    return writer.html;
}

}  // namespace raxx::notify
