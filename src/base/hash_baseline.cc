// XXH3, for any processor.
#define HAMSTER_HASH_KERNEL kHashBaseline
#include "base/hash_kernel.inl"
