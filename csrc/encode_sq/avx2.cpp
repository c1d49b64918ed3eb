// Scalar quantisation with AVX2.
#include "core/target.hpp"
#include "encode_sq/encode_sq.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/runs.inl"

#include "pack_codes/planes.inl"

#include "encode_sq/steps.inl"

#include "encode_sq/encode_sq.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<EncodeSq> registered(Isa::avx2, avx2::encode_sq_rows);
}  // namespace vecpress

#endif
