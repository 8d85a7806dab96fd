#include "pg/network.h"

extern "C" {
#include <sys/socket.h>

#include "utils/inet.h"
}

namespace raxx {
namespace {

constexpr int kHeader = 2;  // family and bits
constexpr int kMappedAt = 12;

bool is_mapped_ipv4(const unsigned char* address, int bits) {
    static const unsigned char prefix[kMappedAt] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return bits >= kMappedAt * BITS_PER_BYTE && memcmp(address, prefix, kMappedAt) == 0;
}

void clear_host_bits(unsigned char* address, int size, int bits) {
    for (int i = 0; i < size; ++i) {
        const int kept = Max(0, Min(BITS_PER_BYTE, bits - i * BITS_PER_BYTE));
        address[i] = static_cast<unsigned char>(address[i] & (0xff00U >> kept));
    }
}

}  // namespace

NetworkImage network_of(Datum address, Prefixes prefixes) {
    const inet* given = DatumGetInetPP(address);
    const unsigned char* bytes = ip_addr(given);
    int bits = ip_bits(given);
    bool ipv4 = ip_family(given) == PGSQL_AF_INET;
    if (!ipv4 && is_mapped_ipv4(bytes, bits)) {
        ipv4 = true;
        bytes += kMappedAt;
        bits -= kMappedAt * BITS_PER_BYTE;
    }
    const int size = ipv4 ? 4 : 16;
    bits = Min(bits, ipv4 ? prefixes.ipv4 : prefixes.ipv6);
    NetworkImage image = {};
    image.bytes[0] = static_cast<unsigned char>(ipv4 ? PGSQL_AF_INET : PGSQL_AF_INET6);
    image.bytes[1] = static_cast<unsigned char>(bits);
    memcpy(image.bytes + kHeader, bytes, static_cast<size_t>(size));
    clear_host_bits(image.bytes + kHeader, size, bits);
    image.size = static_cast<uint32_t>(kHeader + size);
    return image;
}

char* network_text(const unsigned char* image, uint32_t size) {
    auto* value = static_cast<struct varlena*>(palloc(VARHDRSZ + size));
    SET_VARSIZE(value, VARHDRSZ + size);
    memcpy(VARDATA(value), image, size);
    return DatumGetCString(DirectFunctionCall1(inet_out, PointerGetDatum(value)));
}

}  // namespace raxx

using namespace raxx;

// client_network(address inet, ipv4_prefix int, ipv6_prefix int)
RAXX_FUNCTION(raxx_client_network) {
    const Prefixes prefixes = {PG_GETARG_INT32(1), PG_GETARG_INT32(2)};
    if (prefixes.ipv4 < 0 || prefixes.ipv4 > 32 || prefixes.ipv6 < 0 || prefixes.ipv6 > 128) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("prefix length is out of range"),
                        errdetail("The lengths are %d and %d.", prefixes.ipv4, prefixes.ipv6),
                        errhint("Give 0 to 32 for IPv4 and 0 to 128 for IPv6.")));
    }
    const NetworkImage image = network_of(PG_GETARG_DATUM(0), prefixes);
    return PointerGetDatum(cstring_to_text(network_text(image.bytes, image.size)));
}
