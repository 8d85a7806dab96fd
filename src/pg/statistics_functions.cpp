// The statistics as SQL functions: tail probabilities, ks_test and the benford aggregate.
#include "pg/errors.h"
#include "pg/pg.h"
#include "pg/results.h"

extern "C" {
#include "utils/numeric.h"
}

namespace raxx {
namespace {

constexpr int kSkipped = 9;  // the place after the nine digits' counts in the aggregate's state
constexpr int kPlaces = 10;

Datum return_probability(Status status, double value, const Error& error) {
    check(status, error);
    return Float8GetDatum(value);
}

struct Numbers {
    double* values;
    int count;
};

Numbers numbers_argument(FunctionCallInfo fcinfo, int number) {
    ArrayType* array = PG_GETARG_ARRAYTYPE_P(number);
    Datum* elements = nullptr;
    bool* nulls = nullptr;
    int count = 0;
    deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls,
                      &count);
    Numbers numbers = {
        static_cast<double*>(palloc_extended(sizeof(double) * static_cast<Size>(Max(count, 1)), MCXT_ALLOC_HUGE)),
        0};
    for (int i = 0; i < count; ++i) {
        if (!nulls[i]) numbers.values[numbers.count++] = DatumGetFloat8(elements[i]);
    }
    return numbers;
}

int64* counts_of(ArrayType* state) {
    if (ARR_NDIM(state) != 1 || ARR_DIMS(state)[0] != kPlaces || ARR_HASNULL(state) ||
        ARR_ELEMTYPE(state) != INT8OID) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("not a state of the benford aggregate"),
                        errdetail("It must be an array of %d counts.", kPlaces),
                        errhint("Call the aggregate raxx_detect.benford(numeric).")));
    }
    return reinterpret_cast<int64*>(ARR_DATA_PTR(state));
}

ArrayType* state_argument(FunctionCallInfo fcinfo, int number) {
    return AggCheckCallContext(fcinfo, nullptr) != 0 ? PG_GETARG_ARRAYTYPE_P(number)
                                                     : PG_GETARG_ARRAYTYPE_P_COPY(number);
}

// The first significant digit, 1 to 9; 0 for zero, NaN and the infinities. From numeric's wire format: ndigits,
// weight, sign, dscale, then digits of base 10000, the first of them not zero.
int first_digit(Datum value) {
    const bytea* wire = DatumGetByteaPP(DirectFunctionCall1(numeric_send, value));
    const auto* bytes = reinterpret_cast<const unsigned char*>(VARDATA_ANY(wire));
    const auto word = [bytes](size_t at) { return (bytes[2 * at] << 8) | bytes[2 * at + 1]; };
    const int digits = word(0);
    const int sign = word(2);
    if (digits == 0 || (sign != 0x0000 && sign != 0x4000)) return 0;
    int digit = word(4);
    while (digit >= 10) digit /= 10;
    return digit;
}

}  // namespace
}  // namespace raxx

using namespace raxx;

RAXX_FUNCTION(raxx_poisson_upper_tail) {
    double result = 0;
    Error error;
    const Status status = poisson_upper_tail(PG_GETARG_INT64(0), PG_GETARG_FLOAT8(1), &result, &error);
    return return_probability(status, result, error);
}

RAXX_FUNCTION(raxx_binomial_upper_tail) {
    double result = 0;
    Error error;
    const Status status =
        binomial_upper_tail(PG_GETARG_INT64(0), PG_GETARG_INT64(1), PG_GETARG_FLOAT8(2), &result, &error);
    return return_probability(status, result, error);
}

RAXX_FUNCTION(raxx_negative_binomial_upper_tail) {
    double result = 0;
    Error error;
    const Status status =
        negative_binomial_upper_tail(PG_GETARG_INT64(0), PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(2), &result, &error);
    return return_probability(status, result, error);
}

RAXX_FUNCTION(raxx_critical_count) {
    int64 result = 0;
    Error error;
    check(critical_count(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(2), &result, &error), error);
    PG_RETURN_INT64(result);
}

// poisson_interval(k, confidence, OUT low, OUT high)
RAXX_FUNCTION(raxx_poisson_interval) {
    TupleDesc descriptor = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) {
        elog(ERROR, "poisson_interval must return a row");
    }
    double low = 0;
    double high = 0;
    Error error;
    check(poisson_interval(PG_GETARG_INT64(0), PG_GETARG_FLOAT8(1), &low, &high, &error), error);
    Datum values[] = {Float8GetDatum(low), Float8GetDatum(high)};
    bool nulls[] = {false, false};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

RAXX_FUNCTION(raxx_normal_upper_tail) {
    double result = 0;
    Error error;
    const Status status = normal_upper_tail(PG_GETARG_FLOAT8(0), &result, &error);
    return return_probability(status, result, error);
}

RAXX_FUNCTION(raxx_chi_squared_upper_tail) {
    double result = 0;
    Error error;
    const Status status = chi_squared_upper_tail(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1), &result, &error);
    return return_probability(status, result, error);
}

// ks_test(float8[], float8[], OUT d, OUT p_value)
RAXX_FUNCTION(raxx_ks_test) {
    const Numbers x = numbers_argument(fcinfo, 0);
    const Numbers y = numbers_argument(fcinfo, 1);
    KsResult result = {};
    Error error;
    Status status = Status::stopped;
    while (status == Status::stopped) {
        CHECK_FOR_INTERRUPTS();  // an interrupt that is no cancel only delays
        status = ks_test(x.values, static_cast<size_t>(x.count), y.values, static_cast<size_t>(y.count),
                         interrupted, &result, &error);
        check(status, error);
    }
    Datum values[] = {Float8GetDatum(result.d), Float8GetDatum(result.p_value)};
    bool nulls[] = {false, false};
    return return_row(fcinfo, values, nulls);
}

RAXX_FUNCTION(raxx_benford_accumulate) {
    ArrayType* state = state_argument(fcinfo, 0);
    const int digit = first_digit(PG_GETARG_DATUM(1));
    ++counts_of(state)[digit == 0 ? kSkipped : digit - 1];
    return PointerGetDatum(state);
}

RAXX_FUNCTION(raxx_benford_combine) {
    ArrayType* state = state_argument(fcinfo, 0);
    int64* counts = counts_of(state);
    const int64* others = counts_of(PG_GETARG_ARRAYTYPE_P(1));
    for (int i = 0; i < kPlaces; ++i) counts[i] += others[i];
    return PointerGetDatum(state);
}

RAXX_FUNCTION(raxx_benford_result) {
    const int64* counts = counts_of(PG_GETARG_ARRAYTYPE_P(0));
    BenfordResult result = {};
    Error error;
    check(benford(counts, &result, &error), error);
    const bool none = result.n == 0;
    Datum values[] = {Int64GetDatum(result.n), Float8GetDatum(result.chi_squared), Float8GetDatum(result.p_value),
                      Float8GetDatum(result.mad), Int64GetDatum(counts[kSkipped])};
    bool nulls[] = {false, none, none, none, false};
    return return_row(fcinfo, values, nulls);
}

// email_pattern(email text, OUT domain, OUT registrable_domain, OUT shape)
RAXX_FUNCTION(raxx_email_pattern) {
    const text* email = PG_GETARG_TEXT_PP(0);
    EmailPattern pattern;
    email_pattern({reinterpret_cast<const unsigned char*>(VARDATA_ANY(email)),
                   static_cast<uint32_t>(VARSIZE_ANY_EXHDR(email))},
                  &pattern);
    const char* parts[] = {pattern.domain, pattern.registrable_domain, pattern.shape};
    Datum values[3];
    bool nulls[3];
    for (int i = 0; i < 3; ++i) {
        nulls[i] = parts[i][0] == '\0';
        values[i] = nulls[i] ? static_cast<Datum>(0) : PointerGetDatum(cstring_to_text(parts[i]));
    }
    return return_row(fcinfo, values, nulls);
}
