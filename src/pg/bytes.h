// Bytes of values, and their order: that of the collation "C".
#pragma once

#include "pg/pg.h"

namespace raxx {

inline Bytes bytes_of_datum(Datum text_value) {
    const auto* value = DatumGetTextPP(text_value);
    return {reinterpret_cast<const unsigned char*>(VARDATA_ANY(value)),
            static_cast<uint32_t>(VARSIZE_ANY_EXHDR(value))};
}

inline int compare_bytes(Bytes a, Bytes b) {
    const uint32_t common = Min(a.size, b.size);
    const int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0) return order;
    return (a.size > b.size ? 1 : 0) - (a.size < b.size ? 1 : 0);
}

}  // namespace raxx
