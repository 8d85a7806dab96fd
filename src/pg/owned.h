// Objects of the core that live as long as a memory context: freed with it, be it after an error or a cancel.
#pragma once

#include "pg/errors.h"
#include "pg/pg.h"

namespace raxx {

// Registers with the current memory context that an object is to be freed, before there is one, so that nothing can
// fail in between.
inline MemoryContextCallback* prepare_owned(void (*free_object)(void*)) {
    auto* callback = static_cast<MemoryContextCallback*>(palloc0(sizeof(MemoryContextCallback)));
    callback->func = free_object;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    return callback;
}

// The object, which goes with the context from now on; raises the error if it is nullptr.
template <class Object>
Object* owned(MemoryContextCallback* callback, Object* object, const Error& error) {
    if (object == nullptr) raise(error);
    callback->arg = object;
    return object;
}

}  // namespace raxx
