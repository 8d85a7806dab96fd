// How long records are kept, and after what time nobody can be said to have looked.
#pragma once

namespace raxx {

void define_record_settings();

}  // namespace raxx
