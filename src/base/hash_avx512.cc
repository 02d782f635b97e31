// XXH3, in AVX-512: compiled with that instruction set, see CMakeLists.txt.
#define HAMSTER_HASH_KERNEL kHashAvx512
#include "base/hash_kernel.inl"
