// XXH3, in AVX2: compiled with that instruction set, see CMakeLists.txt.
#define HAMSTER_HASH_KERNEL kHashAvx2
#include "base/hash_kernel.inl"
