// A handle of libcurl with what holds for every protocol: no signals, no proxy, no connection that is used twice.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <new>
#include <string>

#include "notify/configuration.h"

namespace raxx::notify {

struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using CurlList = std::unique_ptr<curl_slist, FreeList>;

inline void append(CurlList* list, const std::string& text) {
    curl_slist* longer = curl_slist_append(list->get(), text.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    (void)list->release();
    list->reset(longer);
}

struct FreeHandle {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using CurlHandle = std::unique_ptr<CURL, FreeHandle>;

// Where a connection that was kept turns out to be dead, libcurl sends the request once more without saying so,
// though the counterpart may have taken it; so none is kept.
inline CurlHandle new_curl(const NetworkSettings& settings, const char* protocols) {
    CurlHandle handle(curl_easy_init());
    if (handle == nullptr) throw std::bad_alloc();
    CURL* curl = handle.get();
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout.count()));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(settings.timeout.count()));
    if (!settings.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, settings.ca_file.c_str());
    return handle;
}

}  // namespace raxx::notify
