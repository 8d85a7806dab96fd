// The font configuration that cairo reads once stays in memory; that is not ours to free.
extern "C" const char* __lsan_default_suppressions();  // NOLINT: the name that the sanitizer looks for
extern "C" const char* __lsan_default_suppressions() { return "leak:libfontconfig\n"; }
