// Sketches that the core has made, as values of the type quantile_sketch.
#pragma once

#include "pg/pg.h"

namespace raxx {

Datum sketch_datum(const Sketch& sketch);

}  // namespace raxx
