// What addresses made by one program have in common: the domain, the registrable domain above it, and the shape of
// the local part. anna.k81@ and omar.t23@ meet as a9.
//
// The input is hostile: any bytes, any length. Nothing here fails, throws, or allocates more than a domain name.
#pragma once

#include <string_view>

#include "core/fence.h"

namespace raxx {

// The domain in lower case without its last dot. False, and empty, when it cannot be one: longer than 253 bytes, an
// empty label, a label above 63 bytes, a character that no domain has, invalid UTF-8.
bool normal_domain(std::string_view text, char (&domain)[sizeof EmailPattern::domain]);

// The public suffix and one label, by the Public Suffix List inside libpsl. Empty for a public suffix itself and
// for an address of a host. The domain is a normal one.
void registrable_domain(const char* domain, char (&registrable)[sizeof EmailPattern::registrable_domain]);

// Case, dots and everything from the first '+' do not count (mailboxes ignore them). Then a run of letters becomes
// 'a', where a byte that is not ASCII is a letter, a run of digits '9', a run of another character that character.
void local_shape(std::string_view local, char (&shape)[sizeof EmailPattern::shape]);

}  // namespace raxx
