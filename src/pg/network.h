// Client networks: the part of an address that stands for one client, a /32 of IPv4 and a /64 of IPv6 by default.
#pragma once

#include "pg/pg.h"

namespace raxx {

// Bits of an address that make a network.
struct Prefixes {
    int ipv4;
    int ipv6;
};

// The bytes of an inet (family, bits, address), without its header.
struct NetworkImage {
    unsigned char bytes[18];
    uint32_t size;
};

// The network of an address. An IPv4 address written in IPv6 (::ffff:192.0.2.1) is that IPv4 address; an address
// that is a wider network already stays that wide.
NetworkImage network_of(Datum address, Prefixes prefixes);

// As text: a single address without its prefix length, a network with it.
char* network_text(const unsigned char* image, uint32_t size);

}  // namespace raxx
