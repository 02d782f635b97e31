// Private to the hashes: XXH3 compiled for several instruction sets, chosen at run time. The
// results are the same; the wide ones are several times faster on large inputs. The files of the
// wide kernels are compiled with flags the running processor may not honour, so they include
// nothing that could leave an inline function behind for others to link.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace hamster::base {

struct HashKernel {
    uint64_t (*hash_64)(const void* data, size_t size, uint64_t seed);
    // out: the low, then the high word.
    void (*hash_128)(const void* data, size_t size, uint64_t out[2]);
    void (*hash_128_of_two)(const void* a, size_t a_size, const void* b, size_t b_size,
                            uint64_t out[2]);
};

extern const HashKernel kHashBaseline;
#if defined(__x86_64__)
extern const HashKernel kHashAvx2;
extern const HashKernel kHashAvx512;
#endif

}  // namespace hamster::base
