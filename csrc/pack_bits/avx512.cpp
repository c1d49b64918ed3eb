// Binarisation with AVX-512.
#include "core/target.hpp"
#include "pack_bits/pack_bits.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/runs.inl"

#include "pack_bits/pack_bits.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<PackBits> registered(Isa::avx512, avx512::pack_rows);
}  // namespace vecpress

#endif
