// Hamming scan with AVX2: 32 codes at a time, bits counted by two 16-entry look-ups (vpshufb).
#include "core/target.hpp"
#include "hamming/hamming.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/scan.inl"

#include "core/tiles.inl"

#include "core/counts.inl"

#include "hamming/hamming.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Hamming> registered(Isa::avx2, {avx2::scan_hamming, avx2::invert_query, avx2::inverted_bytes,
                                                    avx2::settle_known});
}  // namespace vecpress

#endif
