// Velocity over what e-mail addresses have in common: each address counts for its registrable domain ('acme.io')
// and for the shape of its local part at that domain ('a9@gmail.com'). Keys are told apart by the '@'.
#pragma once

#include "core/velocity.h"

namespace raxx {

class EmailVelocity : public VelocityByTime {
  public:
    explicit EmailVelocity(const Spec& spec) : VelocityByTime(spec) {}
    Status add(const Rows& rows) override;
};

}  // namespace raxx
