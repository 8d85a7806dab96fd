#include "notify/render/chart.h"

#include <cairo.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <stdexcept>

namespace raxx::notify {
namespace {

constexpr double kScale = 2;
constexpr double kLeft = 46;
constexpr double kRight = kChartWidth - 10;
constexpr double kTop = 12;
constexpr double kBottom = kChartHeight - 24;
constexpr double kFontSize = 13;

struct Colour {
    double red, green, blue;
};
constexpr Colour kPaper = {1, 1, 1};
constexpr Colour kInk = {0.30, 0.33, 0.38};
constexpr Colour kGrid = {0.90, 0.91, 0.93};
constexpr Colour kBar = {0.62, 0.68, 0.76};
constexpr Colour kMarkedBar = {0.80, 0.33, 0.10};
constexpr Colour kMark = {1.00, 0.92, 0.86};
constexpr Colour kUnknown = {0.94, 0.94, 0.95};
constexpr Colour kUsual = {0.10, 0.38, 0.75};
constexpr Colour kLimit = {0.70, 0.10, 0.10};

struct Destroy {
    void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
    void operator()(cairo_t* context) const { cairo_destroy(context); }
};
using Surface = std::unique_ptr<cairo_surface_t, Destroy>;
using Context = std::unique_ptr<cairo_t, Destroy>;

cairo_status_t append(void* closure, const unsigned char* data, unsigned int size) noexcept {
    try {
        static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(data), size);
        return CAIRO_STATUS_SUCCESS;
    } catch (const std::bad_alloc&) {
        return CAIRO_STATUS_NO_MEMORY;
    }
}

void check(cairo_status_t status) {
    if (status != CAIRO_STATUS_SUCCESS)
        throw std::runtime_error(fmt::format("chart: {}", cairo_status_to_string(status)));
}

// 1, 2 or 5 times a power of ten, so that at most four steps fit.
double nice_step(double range) {
    const double power = std::pow(10, std::floor(std::log10(range / 4)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (range / (factor * power) <= 4) return factor * power;
    return 10 * power;
}

class Plot {
  public:
    explicit Plot(const Series& series)
        : series_(series),
          surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(kChartWidth * kScale),
                                              static_cast<int>(kChartHeight * kScale))),
          context_(cairo_create(surface_.get())),
          seconds_(series.bucket_seconds * static_cast<double>(series.values.size())) {
        check(cairo_status(cr()));
        cairo_scale(cr(), kScale, kScale);
        cairo_select_font_face(cr(), "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
        cairo_set_font_size(cr(), kFontSize);
        find_range();
    }

    std::string png() {
        paint(kPaper);
        cairo_paint(cr());
        draw_unknown();
        draw_mark();
        draw_grid();
        draw_bars();
        draw_usual();
        draw_limit();
        draw_peak();
        draw_times();
        check(cairo_status(cr()));
        cairo_surface_flush(surface_.get());
        std::string result;
        check(cairo_surface_write_to_png_stream(surface_.get(), append, &result));
        return result;
    }

  private:
    cairo_t* cr() { return context_.get(); }
    void paint(const Colour& colour) { cairo_set_source_rgb(cr(), colour.red, colour.green, colour.blue); }

    void find_range() {
        const auto take = [this](const std::optional<double>& value) {
            if (!value) return;
            // Drawn at most so high: cairo's numbers are of 24 bits before the point.
            least_ = std::min(least_, std::max(*value, -1e30));
            most_ = std::max(most_, std::min(*value, 1e30));
        };
        std::ranges::for_each(series_.values, take);
        std::ranges::for_each(series_.usual, take);
        take(series_.limit);
        if (most_ - least_ <= 0 || most_ - least_ < 1e-9 * std::fabs(most_)) most_ = least_ + 1;
        most_ += (most_ - least_) * 0.18;  // room for the peak's number
    }

    [[nodiscard]] double y(double value) const {
        const double share = std::clamp((value - least_) / (most_ - least_), 0.0, 1.0);
        return kBottom - share * (kBottom - kTop);
    }
    [[nodiscard]] double x(double seconds) const {
        return kLeft + std::clamp(seconds / seconds_, 0.0, 1.0) * (kRight - kLeft);
    }
    [[nodiscard]] double x_of(size_t bucket) const {
        return x(series_.bucket_seconds * static_cast<double>(bucket));
    }
    [[nodiscard]] double since_start(Instant time) const {
        return std::chrono::duration<double>(time - series_.from).count();
    }

    void fill(double left, double top, double right, double bottom) {
        cairo_rectangle(cr(), left, top, right - left, bottom - top);
        cairo_fill(cr());
    }

    void line(double x1, double y1, double x2, double y2) {
        cairo_move_to(cr(), x1, y1);
        cairo_line_to(cr(), x2, y2);
        cairo_stroke(cr());
    }

    // Align 0: begins at x; 0.5: is centred there; 1: ends there.
    void label(const std::string& text, double x, double y, double align) {
        cairo_text_extents_t extents;
        cairo_text_extents(cr(), text.c_str(), &extents);
        const double left = std::clamp(x - extents.x_advance * align, 0.0, kChartWidth - extents.x_advance);
        cairo_move_to(cr(), left, y);
        cairo_show_text(cr(), text.c_str());
    }

    void draw_unknown() {
        paint(kUnknown);
        for (size_t i = 0; i < series_.values.size(); ++i)
            if (!series_.values[i]) fill(x_of(i), kTop, x_of(i + 1), kBottom);
    }

    // From when to when it is marked, in seconds since the start; nothing is an empty span at the end.
    [[nodiscard]] std::pair<double, double> marked() const {
        if (!series_.mark_from) return {seconds_, seconds_};
        const double from = since_start(*series_.mark_from);
        return {from, series_.mark_to ? std::max(since_start(*series_.mark_to), from) : seconds_};
    }

    void draw_mark() {
        const auto [from, to] = marked();
        if (!series_.mark_from || to < 0 || from > seconds_) return;
        const double left = x(from);
        const double right = std::max(x(to), left + 3);
        paint(kMark);
        fill(left, kTop - 4, right, kBottom);
        paint(kMarkedBar);
        cairo_set_line_width(cr(), 2);
        line(left, kTop - 4, right, kTop - 4);
    }

    void draw_grid() {
        const double step = nice_step(most_ - least_);
        cairo_set_line_width(cr(), 1);
        for (int i = 0; i <= 5; ++i) {
            const double value = std::ceil(least_ / step) * step + i * step;
            if (value > most_) break;
            const double at = std::round(y(value)) + 0.5;
            paint(kGrid);
            line(kLeft, at, kRight, at);
            paint(kInk);
            label(axis_text(value), kLeft - 6, at + 4, 1);
        }
    }

    static std::string axis_text(double value) {
        struct Unit {
            double size;
            const char* name;
        };
        constexpr std::array<Unit, 4> kUnits = {{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}}};
        if (std::fabs(value) >= 1e15) return fmt::format("{:.0e}", value);
        for (const Unit& unit : kUnits) {
            const double size = unit.size == 1e4 ? 1e3 : unit.size;
            if (std::fabs(value) >= unit.size) return fmt::format("{:.4g}{}", value / size, unit.name);
        }
        return fmt::format("{:.3g}", std::fabs(value) < 1e-12 ? 0.0 : value).size() > 6
                   ? fmt::format("{:.0e}", value)
                   : fmt::format("{:.4g}", std::fabs(value) < 1e-12 ? 0.0 : value);
    }

    void draw_bars() {
        const auto [from, to] = marked();
        const double gap = series_.values.size() > 120 ? 0 : 1;
        for (size_t i = 0; i < series_.values.size(); ++i) {
            if (!series_.values[i]) continue;
            const double begin = series_.bucket_seconds * static_cast<double>(i);
            const bool in_mark = begin < std::max(to, from + 1) && begin + series_.bucket_seconds > from;
            paint(in_mark ? kMarkedBar : kBar);
            const double zero = y(std::max(least_, 0.0));
            const double top = y(*series_.values[i]);
            // A count that is not nothing is seen.
            const double least = *series_.values[i] > 0 ? std::min(top, zero - 1) : top;
            fill(x_of(i) + gap / 2, std::min(least, zero), x_of(i + 1) - gap / 2, std::max(least, zero));
        }
    }

    // The highest of the marked bars, in figures.
    void draw_peak() {
        const auto [from, to] = marked();
        std::optional<size_t> peak;
        for (size_t i = 0; i < series_.values.size(); ++i) {
            const double begin = series_.bucket_seconds * static_cast<double>(i);
            if (!series_.values[i] || begin >= std::max(to, from + 1) || begin + series_.bucket_seconds <= from)
                continue;
            if (!peak || *series_.values[i] > *series_.values[*peak]) peak = i;
        }
        if (!peak || !series_.mark_from) return;
        paint(kMarkedBar);
        label(axis_text(*series_.values[*peak]), (x_of(*peak) + x_of(*peak + 1)) / 2, y(*series_.values[*peak]) - 3,
              0.5);
    }

    void draw_usual() {
        paint(kUsual);
        cairo_set_line_width(cr(), 1.6);
        bool drawing = false;
        for (size_t i = 0; i < series_.usual.size(); ++i) {
            if (!series_.usual[i]) {
                drawing = false;
                continue;
            }
            const double at = y(*series_.usual[i]);
            if (drawing) {
                cairo_line_to(cr(), x_of(i), at);
            } else {
                cairo_move_to(cr(), x_of(i), at);
            }
            cairo_line_to(cr(), x_of(i + 1), at);
            drawing = true;
        }
        cairo_stroke(cr());
    }

    void draw_limit() {
        if (!series_.limit) return;
        const double at = std::round(y(*series_.limit)) + 0.5;
        constexpr std::array<double, 2> kDashes = {5, 4};
        paint(kLimit);
        cairo_set_line_width(cr(), 1.2);
        cairo_set_dash(cr(), kDashes.data(), static_cast<int>(kDashes.size()), 0);
        line(kLeft, at, kRight, at);
        cairo_set_dash(cr(), nullptr, 0, 0);
        label("limit " + axis_text(*series_.limit), kLeft + 4, at > kTop + kFontSize ? at - 4 : at + kFontSize, 0);
    }

    // The step between labels: whole minutes, hours or days, so that at most six fit.
    [[nodiscard]] double time_step() const {
        for (const double step : {60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0, 43200.0,
                                  86400.0, 172800.0, 432000.0, 604800.0, 1209600.0, 2592000.0})
            if (seconds_ / step <= 6) return step;
        return std::ceil(seconds_ / 6 / 86400) * 86400;
    }

    void draw_times() {
        using std::chrono::seconds;
        const double step = time_step();
        const double start = std::chrono::duration<double>(series_.from.time_since_epoch()).count();
        paint(kInk);
        cairo_set_line_width(cr(), 1);
        line(kLeft, kBottom + 0.5, kRight, kBottom + 0.5);
        constexpr int kMostLabels = 7;
        for (int i = 0; i < kMostLabels; ++i) {
            const double at = (std::ceil(start / step) + i) * step;
            if (at > start + seconds_) break;
            const double place = x(at - start);
            line(place, kBottom, place, kBottom + 4);
            const std::string text = short_time_text(Instant(seconds(std::llround(at))));
            const size_t blank = text.rfind(' ');
            const bool midnight = std::fmod(at, 86400) == 0;
            label(midnight ? text.substr(0, blank) : text.substr(blank + 1), place, kChartHeight - 6.0,
                  place < kLeft + 20 ? 0 : 0.5);
        }
        label("UTC", 2, kChartHeight - 6.0, 0);
    }

    const Series& series_;
    Surface surface_;
    Context context_;
    double seconds_;
    double least_ = 0;
    double most_ = 0;
};

}  // namespace

std::string png_of(const Series& series) { return Plot(series).png(); }

}  // namespace raxx::notify
