// Rotations by fast Hadamard transforms with AVX-512.
#include "core/target.hpp"
#include "rotate/rotate.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "rotate/rotate.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Rotate> registered(Isa::avx512, avx512::rotate_rows);
}  // namespace vecpress

#endif
