// Rotations by fast Hadamard transforms with AVX2.
#include "core/target.hpp"
#include "rotate/rotate.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "rotate/rotate.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Rotate> registered(Isa::avx2, avx2::rotate_rows);
}  // namespace vecpress

#endif
