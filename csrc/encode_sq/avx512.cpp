// Scalar quantisation with AVX-512.
#include "core/target.hpp"
#include "encode_sq/encode_sq.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/runs.inl"

#include "pack_codes/planes.inl"

#include "encode_sq/encode_sq.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<EncodeSq> registered(Isa::avx512, avx512::encode_sq_rows);
}  // namespace vecpress

#endif
