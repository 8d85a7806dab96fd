// The evaluations' side of the boundary: makes them, feeds them, holds them to their memory limit.
#include "core/evaluation.h"

#include <algorithm>
#include <memory>
#include <string>

#include "core/cell_counts.h"
#include "core/collector.h"
#include "core/distinct.h"
#include "core/email_velocity.h"
#include "core/episode_counts.h"
#include "core/failure.h"
#include "core/gaps.h"
#include "core/ordered.h"
#include "core/velocity.h"

namespace raxx {
namespace {

// An evaluation with what guards it. The handle that src/pg holds.
class Guarded : public Evaluation {
  public:
    Guarded(std::unique_ptr<Evaluation> inner, const Spec& spec)
        : inner_(std::move(inner)), memory_limit_(spec.memory_limit), check_order_(spec.check_order) {}
    Status add(const Rows& rows) override {
        if (check_order_ && !going_on_ && !in_order(rows)) return Status::reread;
        const Status status = within_limit(inner_->add(rows));
        going_on_ = status == Status::more;
        return status;
    }
    Status finish() override { return within_limit(inner_->finish()); }
    Episodes episodes() const override { return inner_->episodes(); }
    EpisodeCounts episode_counts() const override { return inner_->episode_counts(); }
    HourlyGaps hourly_gaps() const override { return inner_->hourly_gaps(); }
    CellCounts cell_counts() const override { return inner_->cell_counts(); }
    HourlyCounts key_counts(size_t at) const override { return inner_->key_counts(at); }
    size_t memory() const override { return inner_->memory(); }

  private:
    bool in_order(const Rows& rows) {
        if (rows.count == 0) return true;
        const bool ordered = last_ <= rows.times[0] && std::is_sorted(rows.times, rows.times + rows.count);
        last_ = rows.times[rows.count - 1];
        return ordered;
    }

    Status within_limit(Status status) const {
        if (status == Status::reread || memory() <= memory_limit_) return status;
        throw Failure{sqlstate::kLimitExceeded, "evaluation needs more memory than it may have",
                      "The rows in one window need more than " + std::to_string(memory_limit_ >> 20) + " MB.",
                      "Shorten the window, or raise raxx_detect.memory_limit."};
    }

    std::unique_ptr<Evaluation> inner_;
    size_t memory_limit_;
    bool check_order_;
    bool going_on_ = false;
    Time last_ = kMinusInfinity;
};

std::unique_ptr<Evaluation> make_by_time(const Spec& spec) {
    switch (spec.method) {
        case Method::velocity:
            return std::make_unique<VelocityByTime>(spec);
        case Method::distinct:
            return std::make_unique<Distinct>(spec);
        case Method::ordered:
            return std::make_unique<Ordered>(spec);
        case Method::email_pattern:
            return std::make_unique<EmailVelocity>(spec);
        case Method::gaps:
            return std::make_unique<Gaps>(spec);
        case Method::gap_quantiles:
            return std::make_unique<GapQuantiles>(spec);
        case Method::cell_counts:
            return std::make_unique<CellCounter>(spec);
        case Method::velocity_counts:
        case Method::distinct_counts:
            return std::make_unique<EpisodeCounter>(spec);
    }
    throw Failure{sqlstate::kInternal, "unknown method", "", ""};
}

std::unique_ptr<Evaluation> make(const Spec& spec) {
    if (spec.order == Order::by_key && spec.method == Method::velocity && spec.limits == nullptr)
        return std::make_unique<VelocityByKey>(spec);
    auto by_time = make_by_time(spec);
    if (spec.order == Order::by_time) return by_time;
    return std::make_unique<Collector>(spec, std::move(by_time));
}

}  // namespace

Evaluation* evaluation_create(const Spec& spec, Error* error) noexcept {
    Evaluation* evaluation = nullptr;
    guarded(error, [&] {
        evaluation = std::make_unique<Guarded>(make(spec), spec).release();
        return Status::ok;
    });
    return evaluation;
}

Status evaluation_add(Evaluation* evaluation, const Rows& rows, Error* error) noexcept {
    return guarded(error, [&] { return evaluation->add(rows); });
}

Status evaluation_finish(Evaluation* evaluation, Error* error) noexcept {
    return guarded(error, [&] { return evaluation->finish(); });
}

Episodes evaluation_episodes(const Evaluation* evaluation) noexcept { return evaluation->episodes(); }

EpisodeCounts evaluation_episode_counts(const Evaluation* evaluation) noexcept {
    return evaluation->episode_counts();
}

HourlyGaps evaluation_hourly_gaps(const Evaluation* evaluation) noexcept { return evaluation->hourly_gaps(); }

CellCounts evaluation_cell_counts(const Evaluation* evaluation) noexcept { return evaluation->cell_counts(); }

HourlyCounts evaluation_key_counts(const Evaluation* evaluation, size_t at) noexcept {
    return evaluation->key_counts(at);
}

void evaluation_free(Evaluation* evaluation) noexcept { delete evaluation; }

}  // namespace raxx
