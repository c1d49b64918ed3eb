// Binarisation with AVX2.
#include "core/target.hpp"
#include "pack_bits/pack_bits.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/runs.inl"

#include "pack_bits/pack_bits.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<PackBits> registered(Isa::avx2, avx2::pack_rows);
}  // namespace vecpress

#endif
